import type { Redis as Ioredis } from 'ioredis'
import { Redis } from 'iovalkey'
import type { Client } from './client.ts'
import { IoredisClient, optionsOf } from './ioredis.ts'

/** The fork of ioredis by the makers of Valkey, with its defaults. The target is `host:port`, followed by the file of the CA for TLS. */
export async function open(target: string): Promise<Client> {
  return new IoredisClient(new Redis(optionsOf(target)) as unknown as Ioredis)
}
