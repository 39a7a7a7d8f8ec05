import { Redis } from 'ioredis'
import { type Client, type Entry, found, TAKE_SECONDS_MAX } from './client.ts'
import { parseRedisTarget } from './redis-target.ts'
import { WaitingConnections } from './waiting-connections.ts'

/** Each command is one write; MGET and MSET for many keys. The target is `host:port`, followed by the file of the CA for TLS. */
export async function open(target: string): Promise<Client> {
  return new IoredisClient(new Redis(optionsOf(target)))
}

/** Enables auto-pipelining: the commands of one turn of the event loop, including those of `getMany` and `putMany`, share one pipeline. */
export async function openPipelining(target: string): Promise<Client> {
  return new PipeliningClient(new Redis({ ...optionsOf(target), enableAutoPipelining: true }))
}

/** Options of ioredis, or of a library with the same interface. */
export function optionsOf(target: string) {
  const { host, port, ca } = parseRedisTarget(target)
  return { host, port, ...(ca !== undefined && { tls: { ca } }) }
}

export class IoredisClient implements Client {
  protected readonly redis: Redis
  readonly #takers = new WaitingConnections<Redis>(async () =>
    this.redis.duplicate({ enableAutoPipelining: false }),
  )

  constructor(redis: Redis) {
    this.redis = redis
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    await this.redis.set(key, bytes)
  }

  async get(key: string): Promise<Buffer> {
    return found(await this.redis.getBuffer(key), key)
  }

  async putMany(entries: readonly Entry[]): Promise<void> {
    await this.redis.mset(entries.flatMap(({ key, bytes }) => [key, bytes]))
  }

  async getMany(keys: readonly string[]): Promise<Buffer[]> {
    const objects = await this.redis.mgetBuffer([...keys])
    return objects.map((bytes, index) => found(bytes, keys[index] ?? ''))
  }

  async delete(key: string): Promise<void> {
    await this.redis.del(key)
  }

  async give(key: string, bytes: Buffer): Promise<void> {
    await this.redis.lpush(key, bytes)
  }

  async take(key: string): Promise<Buffer> {
    const answer = await this.#takers.use((connection) => connection.blpopBuffer(key, TAKE_SECONDS_MAX))
    return found(answer?.[1], key)
  }

  async close(): Promise<void> {
    for (const connection of [this.redis, ...this.#takers.all]) connection.disconnect()
  }
}

class PipeliningClient extends IoredisClient {
  override async putMany(entries: readonly Entry[]): Promise<void> {
    await Promise.all(entries.map(({ key, bytes }) => this.redis.set(key, bytes)))
  }

  override async getMany(keys: readonly string[]): Promise<Buffer[]> {
    return await Promise.all(keys.map((key) => this.get(key)))
  }
}
