import { RUNS_LEARNED_MIN } from '../../protocol/limits.ts'

/** What one job used at its peak, over all of its nodes. */
export interface Peak {
  /** With keys and index, as nodes charge them. */
  readonly bytes: number
  /** Reads and writes together, averaged over a heartbeat. */
  readonly bytesPerSecond: number
}

/** How often what a job put was read. */
export interface Reads {
  /** On average. */
  readonly perObject: number
  /** Of that among its objects; null where nobody counted it, as where all stayed in RAM. */
  readonly variance: number | null
}

/** A job that has ended, as later jobs of its name learn from it. */
export interface Run {
  readonly job: string
  /** With its owner, see `scopeOf`. */
  readonly name: string
  readonly endedAtMs: number
  readonly peak: Peak
  /** Null where nothing was put. */
  readonly reads: Reads | null
}

/** What earlier runs of a name say about the next one. */
export interface Learned {
  readonly runs: number
  /** The percentile of each dimension, without the margin. */
  readonly peak: Peak
  /** On average; null where no run knows. */
  readonly readsPerObject: number | null
  /** Whether that holds for about each object, so that what was read so often will not be read again. */
  readonly isEven: boolean
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
  const peak = { bytes: of('bytes'), bytesPerSecond: of('bytesPerSecond') }
  return { runs: runs.length, peak, ...learnReads(runs) }
}

/**
 * Reads count as even where their standard deviation, over the objects of all runs, is at most half of their mean: of data that is read once
 * or that a fixed number of functions read it is near to nothing, and where a few objects get most of the reads it is above the mean.
 */
const EVEN_DEVIATION_MAX = 1 / 2

function learnReads(runs: readonly Run[]): Pick<Learned, 'readsPerObject' | 'isEven'> {
  const known = runs.flatMap(({ reads }) => reads ?? [])
  const mean = average(known.map(({ perObject }) => perObject))
  if (mean === null) return { readsPerObject: null, isEven: false }
  const counted = known.flatMap(({ perObject, variance }) =>
    variance === null ? [] : [variance + (perObject - mean) ** 2],
  )
  const variance = average(counted)
  const isEven = counted.length >= RUNS_LEARNED_MIN && variance !== null
  return { readsPerObject: mean, isEven: isEven && variance <= (mean * EVEN_DEVIATION_MAX) ** 2 }
}

/** Null of none. */
function average(numbers: readonly number[]): number | null {
  return numbers.length === 0 ? null : numbers.reduce((sum, number) => sum + number, 0) / numbers.length
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
