import { EXPECTED_NAMES_MAX, JOB_NAMES_REMEMBERED_MAX } from '../../protocol/limits.ts'
import type { Hints } from './rightsizing.ts'
import { INTERVALS_MIN, Intervals } from './warm-window.ts'

interface Arrival {
  readonly intervals: Intervals
  lastAtMs: number
  hints: Hints
}

/** A job that is likely to be registered. */
export interface Expected {
  readonly name: string
  /** Of its last run. */
  readonly hints: Hints
}

const MINUTE_MS = 60_000

/** When jobs of each name were registered, and which are likely to be registered soon. Times are of the wall clock. */
export class Arrivals {
  /** In the order of their last registration. */
  readonly #byName = new Map<string, Arrival>()

  registered(name: string, atMs: number, hints: Hints): void {
    const known = this.#byName.get(name)
    this.#byName.delete(name)
    if (known === undefined) {
      const [oldest] = this.#byName.keys()
      if (oldest !== undefined && this.#byName.size >= JOB_NAMES_REMEMBERED_MAX) this.#byName.delete(oldest)
      this.#byName.set(name, { intervals: new Intervals(), lastAtMs: atMs, hints })
      return
    }
    known.intervals.add((atMs - known.lastAtMs) / MINUTE_MS)
    known.lastAtMs = Math.max(known.lastAtMs, atMs)
    known.hints = hints
    this.#byName.set(name, known)
  }

  /**
   * The names whose window is open, those that came last first, `EXPECTED_NAMES_MAX` at most. A name that was seen too
   * seldom is not among them: the nodes that are kept anyway are there for it. Nor is one of which a job is `running`: where
   * runs of a name overlap, each takes over from one before it, and room for all of them twice would stand idle.
   */
  expected(nowMs: number, running: ReadonlySet<string>): Expected[] {
    const expected: Expected[] = []
    for (const [name, { intervals, lastAtMs, hints }] of [...this.#byName].reverse()) {
      if (expected.length === EXPECTED_NAMES_MAX) break
      if (intervals.count < INTERVALS_MIN || running.has(name)) continue
      const { fromMinutes, untilMinutes } = intervals.window()
      const sinceMinutes = (nowMs - lastAtMs) / MINUTE_MS
      if (sinceMinutes >= fromMinutes && sinceMinutes <= untilMinutes) expected.push({ name, hints })
    }
    return expected
  }
}
