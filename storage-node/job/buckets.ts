import { MayflyError } from '../../protocol/errors.ts'
import { BUCKETS_FRESH_MS } from '../../protocol/limits.ts'
import { DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import type { Clock } from '../../protocol/runtime.ts'

/** Which buckets of a job live: runs of neighbouring ids, in order, all below `next`, which is the id of the bucket that is created next. */
export interface BucketsMessage {
  readonly next: number
  readonly living: readonly { readonly first: number; readonly count: number }[]
}

/**
 * What this node knows of a job's buckets. Ids are never used again: one below the next that does not live was deleted, for good. So
 * what is kept, and what it costs to hear of a change, goes by the buckets that live, however many there were. Metadata tells nodes of a
 * new bucket before it answers who created it; where a node did not hear of it in time, it asks.
 */
export class JobBuckets {
  readonly #clock: Clock
  #revision = -1
  #message: BucketsMessage = { next: DEFAULT_BUCKET_ID + 1, living: [] }
  /** When the question to metadata began that was answered last, in monotonic ms. */
  #askedMs = Number.NEGATIVE_INFINITY
  /** Asks metadata which buckets live. */
  onUnknown: () => void = () => undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  exists(bucket: number): boolean {
    return bucket === DEFAULT_BUCKET_ID || isIn(this.#message, bucket)
  }

  /** False too for one that this node has not heard of yet. */
  isDeleted(bucket: number): boolean {
    return bucket < this.#message.next && !this.exists(bucket)
  }

  /** Whether there are ids that were used and do not live. */
  get anyDeleted(): boolean {
    return countBelow(this.#message, this.#message.next) < this.#message.next
  }

  /** Throws `BUCKET_NOT_FOUND`, or `UNAVAILABLE` until metadata has been asked about an id that is new here. */
  require(bucket: number): void {
    if (this.exists(bucket)) return
    if (bucket < this.#message.next) throw new MayflyError('BUCKET_NOT_FOUND', 'The bucket was deleted')
    if (this.#clock.monotonicMs() - this.#askedMs < BUCKETS_FRESH_MS)
      throw new MayflyError('BUCKET_NOT_FOUND', 'The job never had a bucket of this id')
    this.onUnknown()
    throw new MayflyError('UNAVAILABLE', 'The node asks metadata whether the job has a bucket of this id')
  }

  /** Takes metadata's word; an older one changes nothing. Returns whether buckets are deleted that were not known to be. */
  apply(revision: number, message: BucketsMessage): boolean {
    if (revision < this.#revision) return false
    const before = this.#message
    this.#revision = revision
    this.#message = message
    const couldLive = countBelow(before, before.next) + message.next - before.next
    return countBelow(message, message.next) < couldLive
  }

  /** Metadata has answered a question that began then. */
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
  // The default bucket lives, whether metadata has said so yet or not.
  const isDefaultTold = living[0]?.first === DEFAULT_BUCKET_ID
  const told = living.reduce((sum, { first, count }) => sum + Math.max(0, Math.min(count, next - first)), 0)
  return isDefaultTold ? told : told + 1
}
