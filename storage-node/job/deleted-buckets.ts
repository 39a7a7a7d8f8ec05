import type { Clock } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { Slot } from '../slot/slot.ts'
import { removeMatching, SweepPauses } from '../slot/sweep-scan.ts'

/** The part of a job that is needed here. */
interface JobWithBuckets {
  readonly id: string
  readonly buckets: { isDeleted(bucket: number): boolean }
  everySlot(): Iterable<Slot>
  track<Result>(slot: Slot, change: () => Result): Result
}

/** Frees what a job has in deleted buckets, in one pass at a time. */
export class DeletedBuckets {
  readonly #job: JobWithBuckets
  readonly #clock: Clock
  readonly #background: Background
  #removal: Promise<unknown> = Promise.resolve()
  /** Another pass is queued. */
  #isQueued = false

  constructor(job: JobWithBuckets, { clock, background }: { clock: Clock; background: Background }) {
    this.#job = job
    this.#clock = clock
    this.#background = background
  }

  /** Starts a pass over all slots, or queues one if a pass is running. */
  remove(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    this.#removal = this.#removal.then(() => {
      this.#isQueued = false
      return this.#background.attempt(['dropBuckets', this.#job.id], () =>
        removeDeletedBuckets(this.#job, this.#clock),
      )
    })
  }

  /** Resolves when everything in deleted buckets is freed. */
  get removed(): Promise<unknown> {
    return this.#removal
  }
}

/** One pass over the job's slots, in steps. */
async function removeDeletedBuckets(job: JobWithBuckets, clock: Clock): Promise<void> {
  const pauses = new SweepPauses(clock, 0)
  const isDeleted = (bucket: number): boolean => job.buckets.isDeleted(bucket)
  for (const slot of [...job.everySlot()]) {
    if (slot.discarded) continue
    for (const bucket of slot.lostKeys?.keys() ?? []) if (isDeleted(bucket)) slot.lostKeys?.delete(bucket)
    job.track(slot, () => {
      for (const [groupKey, { bucket }] of slot.chunks.groups)
        if (isDeleted(bucket)) slot.chunks.removeGroup(groupKey)
    })
    for (let from: number | null = 0; from !== null && !slot.discarded; ) {
      const start: number = from
      from = job.track(slot, () => removeMatching(slot, start, ({ bucket }) => isDeleted(bucket)))
      const pause = pauses.stepped()
      if (pause !== null) await pause
    }
  }
}
