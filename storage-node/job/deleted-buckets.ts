import type { Clock } from '../../protocol/runtime.ts'
import type { Slot } from '../slot/slot.ts'
import { removeMatching, SweepPauses } from '../slot/sweep-scan.ts'

/** The part of a job that this function needs. */
interface JobWithBuckets {
  readonly buckets: { isDeleted(bucket: number): boolean }
  everySlot(): Iterable<Slot>
  track<Result>(slot: Slot, change: () => Result): Result
}

/** Frees everything of a job in deleted buckets: one pass over its slots, in steps. */
export async function removeDeletedBuckets(job: JobWithBuckets, clock: Clock): Promise<void> {
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
