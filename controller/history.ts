import { RUNS_LEARNED_MIN } from '../protocol/limits.ts'

/** What one job used at its peak, over all of its nodes. */
export interface Peak {
  /** With keys and index, as nodes charge them. */
  readonly bytes: number
  /** Reads and writes together, averaged over a heartbeat. */
  readonly bytesPerSecond: number
}

/** A job that has ended, as later jobs of its name learn from it. */
export interface Run {
  readonly job: string
  readonly name: string
  readonly endedAtMs: number
  readonly peak: Peak
}

/** What earlier runs of a name say about the next one. */
export interface Learned {
  readonly runs: number
  /** The percentile of each dimension, without the margin. */
  readonly peak: Peak
}

export const noPeak: Peak = Object.freeze({ bytes: 0, bytesPerSecond: 0 })

/**
 * Which of the runs sizes the next, and what that gets on top. Where bytes end puts fail: it is the highest of 20 runs but one, so
 * that one run that went astray does not size all that follow, and a fifth more. Throughput is borrowed of what others
 * leave, and a run that needs more than it reserved finds others on its nodes that need less: it is the run in the middle.
 */
export const LEARNED_BY: Readonly<
  Record<keyof Peak, { readonly percentile: number; readonly margin: number }>
> = Object.freeze({
  bytes: { percentile: 95, margin: 1.2 },
  bytesPerSecond: { percentile: 50, margin: 1 },
})

/** Null until `RUNS_LEARNED_MIN` runs are known: two may both have been trials. */
export function learn(runs: readonly Run[]): Learned | null {
  if (runs.length < RUNS_LEARNED_MIN) return null
  const of = (dimension: keyof Peak): number =>
    percentile(
      runs.map(({ peak }) => peak[dimension]),
      LEARNED_BY[dimension].percentile,
    )
  return { runs: runs.length, peak: { bytes: of('bytes'), bytesPerSecond: of('bytesPerSecond') } }
}

/** A run that nobody used, or that never came up, says nothing about the next. */
export function isInstructive({ bytes, bytesPerSecond }: Peak): boolean {
  return bytes > 0 && bytesPerSecond > 0
}

export function higherPeak(a: Peak, b: Peak): Peak {
  return {
    bytes: Math.max(a.bytes, b.bytes),
    bytesPerSecond: Math.max(a.bytesPerSecond, b.bytesPerSecond),
  }
}

/** By nearest rank. */
function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? 0
}
