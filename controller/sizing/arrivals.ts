import { EXPECTED_NAMES_MAX, JOB_NAMES_REMEMBERED_MAX } from '../limits.ts'
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
  /** The hints of its last run. */
  readonly hints: Hints
}

const MINUTE_MS = 60_000

/** Registration times of each job name, and the names that are likely to be registered soon. Wall-clock times. */
export class Arrivals {
  /** Ordered by last registration. */
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
   * The names whose warm window is open, most recent first, at most `EXPECTED_NAMES_MAX`. Names with too few registrations are left to the
   * warm pool. Names with a job in `running` are left out: overlapping runs take over nodes from one another, so further nodes would be
   * idle.
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
