import { readFileSync } from 'node:fs'
import { type Job, openJob } from 'mayfly'
import { type Client, type Entry, found, TAKE_SECONDS_MAX } from './client.ts'

/** The target is a ticket, followed by the file of the CA if it is one with TLS. */
export async function open(target: string): Promise<Client> {
  const [ticket, caFile] = target.split(' ')
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }
  return new MayflyClient(await openJob(ticket, ca))
}

class MayflyClient implements Client {
  readonly #job: Job

  constructor(job: Job) {
    this.#job = job
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    await this.#job.put(key, bytes)
  }

  get(key: string): Promise<Buffer> {
    return this.#job.get(key)
  }

  async putMany(entries: readonly Entry[]): Promise<void> {
    await this.#job.putMany(entries)
  }

  async getMany(keys: readonly string[]): Promise<Buffer[]> {
    const objects = await this.#job.getMany(keys)
    return objects.map((bytes, index) => found(bytes, keys[index] ?? ''))
  }

  async delete(key: string): Promise<void> {
    await this.#job.delete(key)
  }

  give(key: string, bytes: Buffer): Promise<void> {
    return this.put(key, bytes)
  }

  take(key: string): Promise<Buffer> {
    return this.#job.get(key, { consume: true, waitSeconds: TAKE_SECONDS_MAX })
  }

  close(): Promise<void> {
    return this.#job.close()
  }
}
