/** When nodes are kept ready after a registration, in minutes since it. */
export interface WarmWindow {
  readonly fromMinutes: number
  readonly untilMinutes: number
}

const BINS = 240
const PREWARM_PERCENTILE = 5
const KEEP_PERCENTILE = 99
/** Widening of the window at either end. */
const MARGIN = 0.1
/** With fewer intervals percentiles are meaningless. */
export const INTERVALS_MIN = 5
/** Above this fraction of intervals beyond the last bin the histogram is not representative. */
const BEYOND_MAX = 0.5
/**
 * Spread of the intervals (interquartile range over median) above which they have no pattern. A memoryless process has 1.58 at any rate,
 * and no window is better than another for it.
 */
const SPREAD_MAX = 1.4
/** For names without a pattern, the keep-alive of FaaS platforms. */
export const KEEP_ALIVE_MINUTES = 10

const keepAlive: WarmWindow = Object.freeze({ fromMinutes: 0, untilMinutes: KEEP_ALIVE_MINUTES })

/**
 * Intervals between registrations of one job name, in bins of a minute, and the hybrid-histogram policy over them (Shahrad et al., "Serverless
 * in the Wild", ATC'20, section 4.2): nodes are made ready shortly before the next registration can come, at the 5th percentile less 10 %, and
 * kept until it is overdue, at the 99th plus 10 %. With too few intervals, most of them beyond four hours, or without a pattern, it is a plain
 * keep-alive. The paper detects a pattern by the spread of the bins' counts, which is high for any few dozen intervals; this code uses the
 * spread of the intervals themselves.
 */
export class Intervals {
  readonly #bins = new Uint32Array(BINS)
  #within = 0
  #beyond = 0

  get count(): number {
    return this.#within + this.#beyond
  }

  add(minutes: number): void {
    const bin = Math.floor(Math.max(0, minutes))
    if (bin >= BINS) {
      this.#beyond++
      return
    }
    this.#bins[bin] = (this.#bins[bin] ?? 0) + 1
    this.#within++
  }

  window(): WarmWindow {
    if (this.count < INTERVALS_MIN || this.#beyond > BEYOND_MAX * this.count || !this.#hasPattern())
      return keepAlive
    const first = this.#percentile(PREWARM_PERCENTILE)
    const last = this.#percentile(KEEP_PERCENTILE)
    return { fromMinutes: first * (1 - MARGIN), untilMinutes: (last + 1) * (1 + MARGIN) }
  }

  #hasPattern(): boolean {
    const [lower, middle, upper] = [25, 50, 75].map((percent) => this.#percentile(percent) + 0.5)
    return ((upper ?? 0) - (lower ?? 0)) / (middle ?? 1) < SPREAD_MAX
  }

  /** The bin of a percentile, by nearest rank. */
  #percentile(percent: number): number {
    let rank = Math.max(1, Math.ceil((this.#within * percent) / 100))
    for (const [bin, count] of this.#bins.entries()) {
      rank -= count
      if (rank <= 0) return bin
    }
    return BINS - 1
  }
}
