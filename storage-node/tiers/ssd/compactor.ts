import { isError } from '../../../protocol/errors.ts'
import { type Clock, sleep } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import {
  COMPACTION_BATCH_BYTES,
  COMPACTION_BYTES_PER_SECOND,
  COMPACTION_RETRY_MS,
  SSD_BATCH_RECORDS_MAX,
} from '../limits.ts'
import type { Segment } from './segment.ts'
import type { SegmentLog } from './segment-log.ts'

type Live = Parameters<SegmentLog['readTogether']>[1][number]

/**
 * Reclaims the space of removed records: rewrites the live records of a segment at the end of its log and
 * removes the file. One segment at a time per node, at a bounded rate.
 */
export class Compactor {
  readonly #clock: Clock
  readonly #background: Background
  readonly #waiting = new Map<Segment, SegmentLog>()
  /** Segments whose last compaction failed; each has a timer or waits. */
  readonly #failing = new Set<Segment>()
  #running: Promise<void> | null = null
  #stopped = false

  constructor({ clock, background }: { clock: Clock; background: Background }) {
    this.#clock = clock
    this.#background = background
  }

  /** Queues a segment, once. One whose compaction failed is queued when its pause is over, not before. */
  add(log: SegmentLog, segment: Segment): void {
    if (!this.#failing.has(segment)) this.#queue(log, segment)
  }

  /** Resolves once it uses no file any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  #queue(log: SegmentLog, segment: Segment): void {
    if (this.#stopped) return
    this.#waiting.set(segment, log)
    this.#running ??= this.#run()
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    // Deferred by one tick: the caller may be in the middle of a change.
    await sleep(this.#clock, 0)
    for (const [segment, log] of this.#waiting) {
      if (this.#stopped) break
      this.#waiting.delete(segment)
      await this.#compact(log, segment)
    }
    this.#running = null
  }

  /**
   * If it fails, the segment stays and is queued again later. If the job has ended, its whole log is removed.
   */
  async #compact(log: SegmentLog, segment: Segment): Promise<void> {
    try {
      for (const batch of batchesOf(log.liveRecords(segment))) {
        if (this.#stopped) return
        const found = await log.readTogether(segment, batch)
        await Promise.all(found.map((each) => log.relocate(segment, each)))
        const bytes = batch.reduce((sum, record) => sum + record.bytes, 0)
        await sleep(this.#clock, (bytes * 1000) / COMPACTION_BYTES_PER_SECOND)
      }
      await log.discard(segment)
      this.#done(segment)
    } catch (error) {
      if (isError(error, 'JOB_ENDED')) return this.#done(segment)
      this.#failing.add(segment)
      // It may have been queued again meanwhile.
      this.#waiting.delete(segment)
      this.#background.failed(['compaction', ''], error)
      this.#clock.after(COMPACTION_RETRY_MS, () => this.#queue(log, segment)).unref()
    }
  }

  /** The task is failing until no segment is. */
  #done(segment: Segment): void {
    this.#failing.delete(segment)
    if (this.#failing.size === 0) this.#background.succeeded(['compaction', ''])
  }
}

/** Groups records that are close enough to be read in one piece. */
function* batchesOf(records: Iterable<Live>): Generator<Live[]> {
  let batch: Live[] = []
  for (const record of records) {
    const first = batch[0]
    if (first !== undefined && !reaches(batch, first, record)) {
      yield batch
      batch = []
    }
    batch.push(record)
  }
  if (batch.length > 0) yield batch
}

function reaches(batch: readonly Live[], first: Live, next: Live): boolean {
  const last = batch.at(-1) ?? first
  const spanBytes = next.offset + next.bytes - first.offset
  return (
    next.offset > last.offset && spanBytes <= COMPACTION_BATCH_BYTES && batch.length < SSD_BATCH_RECORDS_MAX
  )
}
