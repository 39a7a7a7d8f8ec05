import { type Job, openJob } from 'mayfly'
import { type Client, type Entry, TAKE_SECONDS_MAX } from './client.ts'

/** The target is a ticket. */
export async function open(ticket: string): Promise<Client> {
  return new MayflyClient(await openJob(ticket))
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
    await Promise.all(entries.map(({ key, bytes }) => this.#job.put(key, bytes)))
  }

  getMany(keys: readonly string[]): Promise<Buffer[]> {
    return Promise.all(keys.map((key) => this.#job.get(key)))
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
