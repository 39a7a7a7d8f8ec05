import { BAND_HIGH, BAND_LOW, BELOW_ROUNDS } from './autoscaling.ts'
import type { Peak } from './history.ts'
import { bytesOf, type ResourceVector } from './node-class.ts'
import type { Demand, Hints, Sizing } from './rightsizing.ts'

/** A job in one round. */
export interface JobLoad {
  readonly hints: Hints
  readonly demand: Demand
  readonly reasons: Sizing['reasons']
  /** What it has at this moment, which is less than its demand where a node died. */
  readonly reserved: ResourceVector
  /** What it would be given if it were registered now. */
  readonly base: () => Demand
  readonly use: Peak
  /** The most bytes per second that its nodes could give it. */
  readonly bytesPerSecondMax: number
}

/** What is remembered of a job from one round to the next. */
export interface JobMemory {
  /** Rounds in a row in which it moved more than it may count on. */
  readonly aboveRounds: number
  /** Rounds in a row in which it used less than it has grown to. */
  readonly belowRounds: number
}

export const newJob: JobMemory = Object.freeze({ aboveRounds: 0, belowRounds: 0 })

export interface Resized {
  readonly demand: Demand
  readonly reasons: Sizing['reasons']
}

/** Throughput flutters, and a job may borrow what others leave: three seconds show that it needs it. */
const ABOVE_ROUNDS = 3
/** What has grown is given back once less than this is used: well below what it is then given. */
const SHRINK_BELOW = 0.4
const KNOWN_BAND_HIGH = 0.95
/** A smaller step is not worth telling the nodes. */
const STEP_BYTES_MIN = 1024 * 1024
const STEP_RATE_MIN = 1.05

/**
 * One round, of a second, of one job. What it was given without an explicit hint follows its use: above `BAND_HIGH` of
 * what it has reserved, or nearly all where its history said how much, it grows until its use is `BAND_LOW`, by a third at least, so that a job that fills up by a quarter
 * in a second is not refused a byte. Throughput it is given
 * only as far as its nodes have it: what it lacks it may borrow, and a node that is too busy is the class's concern. What it has grown by it gives back after `BELOW_ROUNDS` below `SHRINK_BELOW`. A hint is a hard
 * limit: it is never passed.
 */
export function outgrow(memory: JobMemory, now: JobLoad): { memory: JobMemory; resized: Resized | null } {
  const { hints, demand, reasons, reserved, use } = now
  const hasBytes = Math.min(bytesOf(demand), bytesOf(reserved))
  const hasRate = Math.min(demand.bytesPerSecond, reserved.bytesPerSecond)
  const growsBytes = hints.capacityBytes === undefined && use.bytes > growsAbove(reasons.bytes) * hasBytes
  const rateIsAbove =
    hints.peakBytesPerSecond === undefined &&
    use.bytesPerSecond > growsAbove(reasons.bytesPerSecond) * hasRate
  const aboveRounds = rateIsAbove ? memory.aboveRounds + 1 : 0
  const rate = Math.min(now.bytesPerSecondMax, stepOf(use.bytesPerSecond, demand.bytesPerSecond))
  const growsRate = aboveRounds >= ABOVE_ROUNDS && rate > STEP_RATE_MIN * demand.bytesPerSecond
  if (growsBytes || growsRate) {
    const bytes = growsBytes ? stepOf(use.bytes, bytesOf(demand)) : bytesOf(demand)
    const bytesPerSecond = growsRate ? rate : demand.bytesPerSecond
    return { memory: newJob, resized: resize(now, { bytes, bytesPerSecond }) }
  }
  const grown = { bytes: reasons.bytes.ground === 'use', rate: reasons.bytesPerSecond.ground === 'use' }
  const isBelow =
    (grown.bytes || grown.rate) &&
    (!grown.bytes || use.bytes < SHRINK_BELOW * bytesOf(demand)) &&
    (!grown.rate || use.bytesPerSecond < SHRINK_BELOW * demand.bytesPerSecond)
  const belowRounds = isBelow ? memory.belowRounds + 1 : 0
  if (belowRounds < BELOW_ROUNDS) return { memory: { aboveRounds, belowRounds }, resized: null }
  const base = now.base()
  const bytes = grown.bytes ? Math.max(bytesOf(base), Math.ceil(use.bytes / BAND_LOW)) : bytesOf(demand)
  const bytesPerSecond = grown.rate
    ? Math.max(base.bytesPerSecond, Math.ceil(use.bytesPerSecond / BAND_LOW))
    : demand.bytesPerSecond
  const isSame = bytesOf(demand) - bytes < STEP_BYTES_MIN && bytesPerSecond >= demand.bytesPerSecond
  return { memory: newJob, resized: isSame ? null : resize(now, { bytes, bytesPerSecond }) }
}

/** What earlier runs used is known, with a margin of a fifth: at their peak they are at 83 % of it. */
function growsAbove({ ground }: Sizing['reasons']['bytes']): number {
  return ground === 'history' ? KNOWN_BAND_HIGH : BAND_HIGH
}

function stepOf(use: number, has: number): number {
  return Math.ceil(Math.max(use / BAND_LOW, (has * BAND_HIGH) / BAND_LOW))
}

/** The tiers keep their proportion. */
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
