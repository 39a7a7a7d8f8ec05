import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { type Client, type Entry, found, TAKE_SECONDS_MAX } from './client.ts'

/** Each command is one write; MGET and MSET for many keys. The target is `host:port`, followed by the file of the CA for TLS. */
export async function open(target: string): Promise<Client> {
  return new IoredisClient(new Redis(optionsOf(target)))
}

/** Enables auto-pipelining: the commands of one turn of the event loop, including those of `getMany` and `putMany`, share one pipeline. */
export async function openPipelining(target: string): Promise<Client> {
  return new PipeliningClient(new Redis({ ...optionsOf(target), enableAutoPipelining: true }))
}

interface Options {
  readonly host: string
  readonly port: number
  readonly tls?: { readonly ca: string }
}

/** The connection of ioredis, or of a library with the same interface. */
export function optionsOf(target: string): Options {
  const [address = '', caFile] = target.split(' ')
  const [host = '', port] = address.split(':')
  const tls = caFile === undefined ? {} : { tls: { ca: readFileSync(caFile, 'utf8') } }
  return { host, port: Number(port), ...tls }
}

export class IoredisClient implements Client {
  protected readonly redis: Redis
  /** BLPOP blocks its connection, so each waiting call uses a connection of its own, as ioredis advises. */
  readonly #idle: Redis[] = []
  readonly #waiting = new Set<Redis>()

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
    const connection = this.#idle.pop() ?? this.redis.duplicate({ enableAutoPipelining: false })
    this.#waiting.add(connection)
    const answer = await connection.blpopBuffer(key, TAKE_SECONDS_MAX)
    this.#waiting.delete(connection)
    this.#idle.push(connection)
    return found(answer?.[1], key)
  }

  async close(): Promise<void> {
    for (const connection of [this.redis, ...this.#idle, ...this.#waiting]) connection.disconnect()
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
