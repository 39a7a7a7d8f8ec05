import { LIST_CURSOR_KEEP_MS, LIST_CURSORS_BYTES_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { NodeJob } from '../job/job.ts'
import type { KeyString } from '../slot/key-string.ts'

/** What one node is asked for of a listing. */
export interface ListScope {
  readonly bucket: number
  readonly prefix: Uint8Array
  /** A bitmap. */
  readonly slots: Uint8Array
}

/** Keys that were there when they were gathered, in order: pages of listings are made from them. */
export class ListCursor {
  readonly keys: readonly KeyString[]
  readonly bytes: number
  /** Nothing followed its last key. */
  readonly isComplete: boolean
  /** Listings that go on from it. */
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
  /** Keys up to this one were left out when it was gathered. */
  readonly start: KeyString
  usedMs: number
}

/** Who is to run next, and who shares what comes of it. */
interface Gatherings {
  running: Promise<unknown>
  readonly next: Map<string, Promise<ListCursor>>
}

interface JobCursors extends Gatherings {
  /** By the name of their listing, the one that was used longest ago first. */
  readonly retained: Map<string, RetainedCursor>
  bytes: number
}

/** The cursors of listings under way, by job: so many bytes of them, which count as held by the job. */
export class ListCursors {
  readonly #clock: Clock
  readonly #jobs = new Map<NodeJob, JobCursors>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The cursor from which the listing of this name goes on above `after`; null where there is none, or it is of other slots. */
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

  /** Forgets those that nobody has asked for lately, and those of jobs that have ended. */
  sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [job, { retained, next }] of this.#jobs) {
      for (const [name, { usedMs }] of retained)
        if (job.ended || usedMs + LIST_CURSOR_KEEP_MS <= nowMs) this.remove(job, name)
      if (retained.size === 0 && next.size === 0) this.#jobs.delete(job)
    }
  }

  /** One after another for each job. Whoever asks the same before a gathering has begun shares what comes of it. */
  async gather(
    job: NodeJob,
    position: { scope: ListScope; after: KeyString },
    run: () => Promise<ListCursor>,
  ): Promise<ListCursor> {
    const cursors = this.#cursorsOf(job)
    const name = `${scopeName(position.scope)}/${position.after}`
    const waiting = cursors.next.get(name)
    if (waiting !== undefined) return await waiting
    const gathering = cursors.running.then(() => {
      cursors.next.delete(name)
      return run()
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
