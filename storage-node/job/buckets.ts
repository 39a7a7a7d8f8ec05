import { MayflyError } from '../../protocol/errors.ts'
import { DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { BUCKETS_FRESH_MS } from '../limits.ts'

/** The existing buckets of a job: ordered runs of ids below `next`, the id that the next bucket will have. */
export interface BucketsMessage {
  readonly next: number
  readonly living: readonly { readonly first: number; readonly count: number }[]
}

/**
 * The buckets of a job as this node knows them. Ids are never reused, so an id below `next` that is in no run
 * is deleted for good. Memory and the cost of an update depend only on the number of existing buckets.
 * Metadata tells the nodes of a new bucket before it acknowledges the creation; a node that missed the
 * message asks metadata.
 */
export class JobBuckets {
  readonly #clock: Clock
  #revision = -1
  #message: BucketsMessage = { next: DEFAULT_BUCKET_ID + 1, living: [] }
  /** When the last answered lookup at metadata began, monotonic ms. */
  #askedMs = Number.NEGATIVE_INFINITY
  /** Asks metadata which buckets live. */
  onUnknown: () => void = () => undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  exists(bucket: number): boolean {
    return bucket === DEFAULT_BUCKET_ID || isIn(this.#message, bucket)
  }

  /** False for an id that this node does not know yet. */
  isDeleted(bucket: number): boolean {
    return bucket < this.#message.next && !this.exists(bucket)
  }

  /** Whether any used id is deleted. */
  get anyDeleted(): boolean {
    return countBelow(this.#message, this.#message.next) < this.#message.next
  }

  /** Throws `BUCKET_NOT_FOUND`; `UNAVAILABLE` for an unknown id until metadata has been asked. */
  require(bucket: number): void {
    if (this.exists(bucket)) return
    if (bucket < this.#message.next) throw new MayflyError('BUCKET_NOT_FOUND', 'The bucket was deleted')
    if (this.#clock.monotonicMs() - this.#askedMs < BUCKETS_FRESH_MS)
      throw new MayflyError('BUCKET_NOT_FOUND', 'The job never had a bucket of this id')
    this.onUnknown()
    throw new MayflyError('UNAVAILABLE', 'The node asks metadata whether the job has a bucket of this id')
  }

  /** Applies a message of metadata; an older revision is ignored. Returns whether it deletes buckets. */
  apply(revision: number, message: BucketsMessage): boolean {
    if (revision < this.#revision) return false
    const before = this.#message
    this.#revision = revision
    this.#message = message
    const couldLive = countBelow(before, before.next) + message.next - before.next
    return countBelow(message, message.next) < couldLive
  }

  /** Metadata has answered a lookup that began at `beganMs`. */
  confirm(beganMs: number): void {
    this.#askedMs = Math.max(this.#askedMs, beganMs)
  }
}

function isIn({ living }: BucketsMessage, bucket: number): boolean {
  let low = 0
  let high = living.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const run = living[middle]
    if (run === undefined || bucket < run.first) high = middle
    else if (bucket < run.first + run.count) return true
    else low = middle + 1
  }
  return false
}

function countBelow({ living }: BucketsMessage, next: number): number {
  // The default bucket always exists, also before metadata has listed it.
  const isDefaultTold = living[0]?.first === DEFAULT_BUCKET_ID
  const told = living.reduce((sum, { first, count }) => sum + Math.max(0, Math.min(count, next - first)), 0)
  return isDefaultTold ? told : told + 1
}
