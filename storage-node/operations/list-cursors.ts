import type { Clock } from '../../protocol/runtime.ts'
import { Semaphore } from '../../service/process/locks.ts'
import type { NodeJob } from '../job/job.ts'
import { LIST_CURSOR_KEEP_MS, LIST_CURSORS_BYTES_MAX, LIST_GATHERINGS_MAX } from '../limits.ts'
import type { KeyString } from '../slot/key-string.ts'

/** The part of a listing that one node answers. */
export interface ListScope {
  readonly bucket: number
  readonly prefix: Uint8Array
  /** A bitmap. */
  readonly slots: Uint8Array
}

/** Keys that existed when they were collected, in order. Pages of listings are built from them. */
export class ListCursor {
  readonly keys: readonly KeyString[]
  readonly bytes: number
  /** No key followed the last one. */
  readonly isComplete: boolean
  /** Listings that use it. */
  users = 0

  constructor(gathered: { keys: readonly KeyString[]; bytes: number; isComplete: boolean }) {
    this.keys = gathered.keys
    this.bytes = gathered.bytes
    this.isComplete = gathered.isComplete
  }

  /** Index of the first key above `after`. */
  above(after: KeyString): number {
    let low = 0
    let high = this.keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.keys[middle] as KeyString) > after) high = middle
      else low = middle + 1
    }
    return low
  }
}

interface RetainedCursor {
  readonly scope: string
  readonly cursor: ListCursor
  /** Keys up to this one were not collected. */
  readonly start: KeyString
  usedMs: number
}

/** The running collection of a job, and queued ones by name. */
interface Gatherings {
  running: Promise<unknown>
  readonly next: Map<string, Promise<ListCursor>>
}

interface JobCursors extends Gatherings {
  /** By listing, least recently used first. */
  readonly retained: Map<string, RetainedCursor>
  bytes: number
}

/** Cursors of active listings by job, bounded in bytes and charged to the job. */
export class ListCursors {
  readonly #clock: Clock
  readonly #jobs = new Map<NodeJob, JobCursors>()
  /** Collections of all jobs. */
  readonly #gatherings = new Semaphore(LIST_GATHERINGS_MAX)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * The cursor with which the listing continues above `after`; null if there is none or it covers other
   * slots.
   */
  find(job: NodeJob, name: string, position: { scope: ListScope; after: KeyString }): ListCursor | null {
    const found = this.#jobs.get(job)?.retained.get(name)
    if (found === undefined || found.scope !== scopeName(position.scope) || found.start > position.after)
      return null
    return found.cursor
  }

  retain(
    job: NodeJob,
    name: string,
    { cursor, ...of }: { cursor: ListCursor; scope: ListScope; from: KeyString },
  ): void {
    const before = this.#jobs.get(job)?.retained.get(name)
    const from = before?.cursor === cursor ? before.start : of.from
    this.remove(job, name)
    const cursors = this.#cursorsOf(job)
    const usedMs = this.#clock.monotonicMs()
    cursors.retained.set(name, { scope: scopeName(of.scope), cursor, start: from, usedMs })
    if (cursor.users++ === 0) this.#count(job, cursors, cursor.bytes)
    for (const oldest of cursors.retained.keys()) {
      if (cursors.bytes <= LIST_CURSORS_BYTES_MAX || oldest === name) break
      this.remove(job, oldest)
    }
  }

  remove(job: NodeJob, name: string): void {
    const cursors = this.#jobs.get(job)
    const found = cursors?.retained.get(name)
    if (cursors === undefined || found === undefined) return
    cursors.retained.delete(name)
    if (--found.cursor.users === 0) this.#count(job, cursors, -found.cursor.bytes)
  }

  /** Drops cursors that are idle for too long, and those of ended jobs. */
  sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [job, { retained, next }] of this.#jobs) {
      for (const [name, { usedMs }] of retained)
        if (job.ended || usedMs + LIST_CURSOR_KEEP_MS <= nowMs) this.remove(job, name)
      if (retained.size === 0 && next.size === 0) this.#jobs.delete(job)
    }
  }

  /** Serializes collections of a job. Callers with the same request share one that has not begun. */
  async gather(
    job: NodeJob,
    position: { scope: ListScope; after: KeyString; keysMax: number },
    run: () => Promise<ListCursor>,
  ): Promise<ListCursor> {
    const cursors = this.#cursorsOf(job)
    const name = `${scopeName(position.scope)}/${position.keysMax}/${position.after}`
    const waiting = cursors.next.get(name)
    if (waiting !== undefined) return await waiting
    const gathering = cursors.running.then(() => {
      cursors.next.delete(name)
      return this.#gatherings.run(1, run)
    })
    cursors.next.set(name, gathering)
    cursors.running = gathering.catch(() => undefined)
    return await gathering
  }

  #cursorsOf(job: NodeJob): JobCursors {
    let cursors = this.#jobs.get(job)
    if (cursors === undefined) {
      cursors = { retained: new Map(), bytes: 0, running: Promise.resolve(), next: new Map() }
      this.#jobs.set(job, cursors)
    }
    return cursors
  }

  #count(job: NodeJob, cursors: JobCursors, bytes: number): void {
    cursors.bytes += bytes
    job.chargeOverhead(bytes)
  }
}

function scopeName({ bucket, prefix, slots }: ListScope): string {
  return `${bucket}/${Buffer.from(prefix).toString('latin1')}/${Buffer.from(slots).toString('latin1')}`
}
