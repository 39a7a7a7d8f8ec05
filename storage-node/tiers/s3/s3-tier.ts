import type { Runtime } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import type { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { EPHEMERAL_PREFIX } from '../../../service/s3/s3-settings.ts'
import type { TierSpace, TierStore } from '../tier-store.ts'
import { DiscardQueue } from './discard-queue.ts'
import { S3Space } from './s3-space.ts'

/** The S3 tier of one node, which closes its bucket. */
export class S3Tier implements TierStore {
  readonly #node: string
  readonly #bucket: S3Bucket
  readonly #discards: DiscardQueue
  readonly #runtime: Runtime

  constructor(node: string, bucket: S3Bucket, deps: Runtime & { background: Background }) {
    this.#node = node
    this.#bucket = bucket
    this.#discards = new DiscardQueue(this.#bucket, deps.background)
    this.#runtime = deps
  }

  open(job: string): TierSpace {
    const options = { bucket: this.#bucket, discards: this.#discards, runtime: this.#runtime }
    return new S3Space({ jobPrefix: `${EPHEMERAL_PREFIX}${job}/`, node: this.#node }, options)
  }

  /** Objects stay until their job ends, or the lifecycle rule removes them. */
  async close(): Promise<void> {
    this.#discards.stop()
    this.#bucket.close()
  }
}
