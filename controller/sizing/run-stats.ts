import { RUNS_LEARNED_MIN } from '../limits.ts'

/** The peak use of one job over all its nodes. */
export interface Peak {
  /** With keys and index, as nodes charge them. */
  readonly bytes: number
  /** Reads and writes together, averaged over a heartbeat. */
  readonly bytesPerSecond: number
}

/** Reads per object. */
export interface Reads {
  /** On average. */
  readonly perObject: number
  /** Their variance among objects; null if it was not counted, as for jobs in RAM alone. */
  readonly variance: number | null
}

/** An ended job, for sizing later jobs of its name. */
export interface Run {
  readonly job: string
  /** With its owner, see `scopeOf`. */
  readonly name: string
  readonly endedAtMs: number
  readonly peak: Peak
  /** Null if nothing was put. */
  readonly reads: Reads | null
}

/** What earlier runs of a name say about the next one. */
export interface Learned {
  readonly runs: number
  /** The percentile in each dimension, without margin. */
  readonly peak: Peak
  /** The average; null if no run knows. */
  readonly readsPerObject: number | null
  /** True if it holds for nearly every object: one that was read so often will not be read again. */
  readonly isEven: boolean
}

export const noPeak: Peak = Object.freeze({ bytes: 0, bytesPerSecond: 0 })

/**
 * The percentile and margin per dimension. Missing bytes fail puts: the second highest of 20 runs, so that one outlier does not size all
 * later runs, plus a fifth. Missing throughput is borrowed from jobs that need less: the median.
 */
export const LEARNED_BY: Readonly<
  Record<keyof Peak, { readonly percentile: number; readonly margin: number }>
> = Object.freeze({
  bytes: { percentile: 95, margin: 1.2 },
  bytesPerSecond: { percentile: 50, margin: 1 },
})

/** Null below `RUNS_LEARNED_MIN` runs; two may both have been trials. */
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
 * Reads are even if their standard deviation over the objects of all runs is at most half of their mean. It is near zero for data that is
 * read once or by a fixed number of functions, and above the mean where a few objects get most of the reads.
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

/** Null for an empty list. */
function average(numbers: readonly number[]): number | null {
  return numbers.length === 0 ? null : numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}

/** A run that was not used, or that never became active, is ignored. */
export function isInstructive({ bytes, bytesPerSecond }: Peak): boolean {
  return bytes > 0 && bytesPerSecond > 0
}

export function higherPeak(a: Peak, b: Peak): Peak {
  return {
    bytes: Math.max(a.bytes, b.bytes),
    bytesPerSecond: Math.max(a.bytesPerSecond, b.bytesPerSecond),
  }
}

/** Nearest rank. */
function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? 0
}
