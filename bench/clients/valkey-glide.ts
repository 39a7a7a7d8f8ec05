import { Decoder, GlideClient, type GlideString } from '@valkey/valkey-glide'
import { type Client, type Entry, found, TAKE_SECONDS_MAX } from './client.ts'
import { parseRedisTarget } from './redis-target.ts'
import { WaitingConnections } from './waiting-connections.ts'

/** Far longer than any call, as the other libraries have no bound. */
const REQUEST_MS_MAX = 60_000

/** The client of Valkey whose core is in Rust. The target is `host:port`, followed by the file of the CA for TLS. */
export async function open(target: string): Promise<Client> {
  return new GlideStoreClient(await connect(target), target)
}

async function connect(target: string): Promise<GlideClient> {
  const { host, port, ca } = parseRedisTarget(target)
  const tls = ca !== undefined && {
    useTLS: true,
    advancedConfiguration: { tlsAdvancedConfiguration: { rootCertificates: ca } },
  }
  return await GlideClient.createClient({
    addresses: [{ host, port }],
    defaultDecoder: Decoder.Bytes,
    requestTimeout: REQUEST_MS_MAX,
    ...tls,
  })
}

class GlideStoreClient implements Client {
  readonly #glide: GlideClient
  readonly #takers: WaitingConnections<GlideClient>

  constructor(glide: GlideClient, target: string) {
    this.#glide = glide
    this.#takers = new WaitingConnections(() => connect(target))
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    await this.#glide.set(key, bytes)
  }

  async get(key: string): Promise<Buffer> {
    return found(bytesOf(await this.#glide.get(key)), key)
  }

  async putMany(entries: readonly Entry[]): Promise<void> {
    await this.#glide.mset(entries.map(({ key, bytes }) => ({ key, value: bytes })))
  }

  async getMany(keys: readonly string[]): Promise<Buffer[]> {
    const objects = await this.#glide.mget([...keys])
    return objects.map((bytes, index) => found(bytesOf(bytes), keys[index] ?? ''))
  }

  async delete(key: string): Promise<void> {
    await this.#glide.del([key])
  }

  async give(key: string, bytes: Buffer): Promise<void> {
    await this.#glide.lpush(key, [bytes])
  }

  async take(key: string): Promise<Buffer> {
    const answer = await this.#takers.use((connection) => connection.blpop([key], TAKE_SECONDS_MAX))
    return found(bytesOf(answer?.[1]), key)
  }

  async close(): Promise<void> {
    for (const connection of [this.#glide, ...this.#takers.all]) connection.close()
  }
}

/** With the decoder of bytes every string is a buffer. */
function bytesOf(value: GlideString | null | undefined): Buffer | null {
  return value == null ? null : (value as Buffer)
}
