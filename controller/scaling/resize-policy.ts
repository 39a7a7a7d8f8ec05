import { bytesOf, type ResourceVector } from '../sizing/node-class.ts'
import type { Demand, Hints, Sizing } from '../sizing/rightsizing.ts'
import { noPeak, type Peak } from '../sizing/run-stats.ts'
import { BAND_HIGH, BAND_LOW } from './policy.ts'

/** A job in one round. */
export interface JobLoad {
  readonly hints: Hints
  readonly demand: Demand
  readonly reasons: Sizing['reasons']
  /** Its present reservation; less than its demand if a node died. */
  readonly reserved: ResourceVector
  readonly use: Peak
  /** Its highest use so far. */
  readonly peak: Peak
  /** The throughput that its nodes could give it; only evaluated if it needs more. */
  readonly bytesPerSecondMax: () => number
}

/** State of a job between rounds. */
export interface JobMemory {
  /** Consecutive rounds above its reserved throughput. */
  readonly aboveRounds: number
  /** Consecutive rounds well below its reservation. */
  readonly belowRounds: Peak
}

export const newJob: JobMemory = Object.freeze({ aboveRounds: 0, belowRounds: noPeak })

export interface Resized {
  readonly demand: Demand
  readonly reasons: Sizing['reasons']
}

/** Throughput is noisy and may be borrowed, so three rounds are required. */
const ABOVE_ROUNDS = 3
/**
 * Consecutive rounds below `SHRINK_BELOW` before the reservation shrinks. Missing bytes fail puts, so the next stage of a job should have
 * begun by then; missing throughput is borrowed.
 */
const BELOW_ROUNDS: Peak = { bytes: 20, bytesPerSecond: 5 }
/** Well below the utilisation after shrinking, so that the job does not grow again at once. */
const SHRINK_BELOW = 0.4
/** A job is past its peak once it has used this fraction of its reservation; before that nothing is taken from it. */
const PEAK_HAD = BAND_LOW
/** Minimum reservation after the peak, as a fraction of it, for the next stage. */
const RETAINED_OF_PEAK = 1 / 20
/** Threshold for growth of bytes that history sized: with its margin of a fifth, earlier runs peaked at 83 %. */
const KNOWN_BYTES_HIGH = 0.95
/** Threshold for growth of throughput that history sized: without margin, every other run exceeds it and borrows. */
const KNOWN_RATE_HIGH = 1.25
/** A smaller step is not worth a message to the nodes. */
const STEP_BYTES_MIN = 1024 * 1024
const STEP_RATE_MIN = 1.05

/**
 * One round, of a second, for one job. Reservations without an explicit hint follow usage in both directions. A hint is a hard limit: it is never exceeded, and
 * what it asked for is never taken away.
 * Up: if usage is above `BAND_HIGH` of the reservation, or above what history said, the reservation grows until usage is `BAND_LOW` of it, and by at least a
 * third, so that a job that fills a quarter in a second is not refused a byte. Throughput grows only as far as the job's nodes have it. The job may borrow the
 * rest, and the class adds nodes if one is too busy.
 * Down: a job that is past its peak, and uses less than `SHRINK_BELOW` for `BELOW_ROUNDS`, retains what makes its usage `BAND_LOW`. A sort spends half of its
 * time with a tenth of its bytes.
 */
export function decideResize(
  memory: JobMemory,
  now: JobLoad,
): { memory: JobMemory; resized: Resized | null } {
  const { hints, demand, reasons, reserved, use } = now
  const has: Peak = { bytes: bytesOf(demand), bytesPerSecond: demand.bytesPerSecond }
  const hasNow: Peak = {
    bytes: Math.min(has.bytes, bytesOf(reserved)),
    bytesPerSecond: Math.min(has.bytesPerSecond, reserved.bytesPerSecond),
  }
  const known = {
    bytes: reasons.bytes.ground === 'history',
    rate: reasons.bytesPerSecond.ground === 'history',
  }
  const growsBytes =
    hints.capacityBytes === undefined &&
    use.bytes > (known.bytes ? KNOWN_BYTES_HIGH : BAND_HIGH) * hasNow.bytes
  const rateIsAbove =
    hints.peakBytesPerSecond === undefined &&
    use.bytesPerSecond > (known.rate ? KNOWN_RATE_HIGH : BAND_HIGH) * hasNow.bytesPerSecond
  const aboveRounds = rateIsAbove ? memory.aboveRounds + 1 : 0
  const rate =
    aboveRounds < ABOVE_ROUNDS
      ? has.bytesPerSecond
      : Math.min(now.bytesPerSecondMax(), stepOf(use.bytesPerSecond, has.bytesPerSecond))
  const growsRate = rate > STEP_RATE_MIN * has.bytesPerSecond
  if (growsBytes || growsRate) {
    const bytes = growsBytes ? stepOf(use.bytes, has.bytes) : has.bytes
    return {
      memory: newJob,
      resized: resize(now, { bytes, bytesPerSecond: growsRate ? rate : has.bytesPerSecond }),
    }
  }
  const below = (of: keyof Peak, hint: number | undefined): number =>
    hint === undefined && use[of] < SHRINK_BELOW * has[of] && now.peak[of] >= PEAK_HAD * has[of]
      ? memory.belowRounds[of] + 1
      : 0
  const belowRounds: Peak = {
    bytes: below('bytes', hints.capacityBytes),
    bytesPerSecond: below('bytesPerSecond', hints.peakBytesPerSecond),
  }
  const retained = (of: keyof Peak): number =>
    belowRounds[of] < BELOW_ROUNDS[of]
      ? has[of]
      : Math.min(has[of], Math.ceil(Math.max(use[of] / BAND_LOW, RETAINED_OF_PEAK * now.peak[of])))
  const to: Peak = {
    bytes: Math.max(retained('bytes'), STEP_BYTES_MIN),
    bytesPerSecond: retained('bytesPerSecond'),
  }
  const isSame =
    has.bytes - to.bytes < STEP_BYTES_MIN && to.bytesPerSecond * STEP_RATE_MIN >= has.bytesPerSecond
  return isSame
    ? { memory: { aboveRounds, belowRounds }, resized: null }
    : { memory: newJob, resized: resize(now, to) }
}

/**
 * Decides between two rounds, when a job fills up on a node or its puts wait there. Returns the sizes to try, in order; empty if the job need not grow, because
 * puts may also wait while slots move from a full node to others. The reservation grows by at least twice the waiting bytes: at 1 GB/s a third of 128 MiB lasts
 * for 40 ms. If the tiers have no room in their present proportion, the rest is placed below RAM, if the job may use that.
 */
export function stepsUp(now: JobLoad, { waitingBytes, below, s3PriceOf }: Pressure): Resized[] {
  const { demand, reserved, use, hints } = now
  const has = bytesOf(demand)
  const wanted = use.bytes + waitingBytes
  const presses =
    waitingBytes > 0 ? wanted > BAND_LOW * has : use.bytes > BAND_HIGH * Math.min(has, bytesOf(reserved))
  if (hints.capacityBytes !== undefined || !presses) return []
  const third = stepOf(wanted, has)
  const steps = waitingBytes > 0 ? [Math.max(2 * has, third), third, Math.ceil(has * STEP_LEAST)] : [third]
  const proportional = steps.map((bytes) => resize(now, { bytes, bytesPerSecond: demand.bytesPerSecond }))
  const spilled = below.flatMap((tier) => steps.map((bytes) => spillTo(now, { tier, bytes, s3PriceOf })))
  return [...proportional, ...spilled]
}

export interface Pressure {
  /** Bytes of puts that wait for capacity. */
  readonly waitingBytes: number
  /** The tiers below RAM that the job may use, the fastest first. */
  readonly below: readonly ('ssd' | 's3')[]
  /** What S3 charges an hour for the bytes of a demand there. */
  readonly s3PriceOf: (demand: Demand) => number
}

/** The smallest step that is tried. */
const STEP_LEAST = 17 / 16

/** All that is added is placed on one tier. */
function spillTo(
  now: JobLoad,
  { tier, bytes, s3PriceOf }: { tier: 'ssd' | 's3'; bytes: number } & Pick<Pressure, 's3PriceOf'>,
): Resized {
  const { reasons } = resize(now, { bytes, bytesPerSecond: now.demand.bytesPerSecond })
  const added = bytes - bytesOf(now.demand)
  const demand =
    tier === 'ssd'
      ? { ...now.demand, ssdBytes: now.demand.ssdBytes + added }
      : { ...now.demand, s3Bytes: now.demand.s3Bytes + added }
  return { demand: { ...demand, s3PricePerHour: s3PriceOf(demand) }, reasons }
}

function stepOf(use: number, has: number): number {
  return Math.ceil(Math.max(use / BAND_LOW, (has * BAND_HIGH) / BAND_LOW))
}

/** Keeps the proportion of the tiers. */
function resize({ demand, reasons, use }: JobLoad, to: Peak): Resized {
  const by = to.bytes / bytesOf(demand)
  const scaled = (bytes: number): number => Math.ceil(bytes * by)
  const because = (used: number, has: number, unit: string): string => `${used} of ${has} ${unit} were used`
  const bytesReason = { ground: 'use', because: because(use.bytes, bytesOf(demand), 'bytes') } as const
  const rateReason = {
    ground: 'use',
    because: because(use.bytesPerSecond, demand.bytesPerSecond, 'bytes/s'),
  } as const
  return {
    demand: {
      ...demand,
      ramBytes: scaled(demand.ramBytes),
      ssdBytes: scaled(demand.ssdBytes),
      s3Bytes: scaled(demand.s3Bytes),
      bytesPerSecond: to.bytesPerSecond,
      s3PricePerHour: demand.s3PricePerHour * by,
    },
    reasons: {
      ...reasons,
      ...(to.bytes !== bytesOf(demand) && { bytes: bytesReason }),
      ...(to.bytesPerSecond !== demand.bytesPerSecond && { bytesPerSecond: rateReason }),
    },
  }
}
