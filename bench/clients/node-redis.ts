import { createClient, RESP_TYPES } from 'redis'
import { type Client, type Entry, found, TAKE_SECONDS_MAX } from './client.ts'
import { parseRedisTarget } from './redis-target.ts'
import { WaitingConnections } from './waiting-connections.ts'

/** node-redis with its defaults: it writes the commands of one turn of the event loop together. The target is `host:port`, followed by the file of the CA for TLS. */
export async function open(target: string): Promise<Client> {
  return new NodeRedisClient(await connect(target), target)
}

async function connect(target: string) {
  const { host, port, ca } = parseRedisTarget(target)
  const socket = ca === undefined ? { host, port } : { host, port, tls: true as const, ca }
  const client = createClient({ socket })
  // Without a listener an error ends the process. The calls under way reject with the same error.
  client.on('error', (error) => process.stderr.write(`node-redis: ${error}\n`))
  await client.connect()
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
}

type Connection = Awaited<ReturnType<typeof connect>>

class NodeRedisClient implements Client {
  readonly #redis: Connection
  readonly #takers: WaitingConnections<Connection>

  constructor(redis: Connection, target: string) {
    this.#redis = redis
    this.#takers = new WaitingConnections(() => connect(target))
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    await this.#redis.set(key, bytes)
  }

  async get(key: string): Promise<Buffer> {
    return found(await this.#redis.get(key), key)
  }

  async putMany(entries: readonly Entry[]): Promise<void> {
    await this.#redis.mSet(entries.map(({ key, bytes }): [string, Buffer] => [key, bytes]))
  }

  async getMany(keys: readonly string[]): Promise<Buffer[]> {
    const objects = await this.#redis.mGet([...keys])
    return objects.map((bytes, index) => found(bytes, keys[index] ?? ''))
  }

  async delete(key: string): Promise<void> {
    await this.#redis.del(key)
  }

  async give(key: string, bytes: Buffer): Promise<void> {
    await this.#redis.lPush(key, bytes)
  }

  async take(key: string): Promise<Buffer> {
    const answer = await this.#takers.use((connection) => connection.blPop(key, TAKE_SECONDS_MAX))
    return found(answer?.element, key)
  }

  async close(): Promise<void> {
    for (const connection of [this.#redis, ...this.#takers.all]) connection.destroy()
  }
}
