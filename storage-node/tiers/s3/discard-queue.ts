import type { Timer } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import type { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { S3_DELETE_BATCH } from '../../../service/s3/s3-limits.ts'
import { S3_DELETE_MS, S3_DELETES_MAX } from '../limits.ts'

/**
 * Keys to delete, in batches. Keys that do not fit, because the endpoint has been down for long, stay until
 * their job ends and its whole prefix is removed.
 */
export class DiscardQueue {
  readonly #bucket: S3Bucket
  readonly #timer: Pick<Timer, 'cancel'>
  #keys: string[] = []

  constructor(bucket: S3Bucket, background: Background) {
    this.#bucket = bucket
    this.#timer = background.every(S3_DELETE_MS, ['discard', ''], () => this.#deleteAll())
  }

  add(key: string): void {
    if (this.#keys.length < S3_DELETES_MAX) this.#keys.push(key)
  }

  stop(): void {
    this.#timer.cancel()
  }

  async #deleteAll(): Promise<void> {
    while (this.#keys.length > 0) {
      const batch = this.#keys.slice(0, S3_DELETE_BATCH)
      await this.#bucket.delete(batch)
      this.#keys = this.#keys.slice(batch.length)
    }
  }
}
