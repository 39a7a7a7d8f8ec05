import { MayflyError } from '../../protocol/errors.ts'
import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import { type LatencyHints, latencyClassOf } from './latency-class.ts'
import { bytesOf, type NodeClass, type ResourceVector } from './node-class.ts'
import { LEARNED_BY, type Learned } from './run-stats.ts'
import { type Load, type Mix, type MixOptions, mixTiers, mostOf, s3PriceOf } from './tier-mix.ts'
import type { TierTraits } from './tier-traits.ts'

/** A user's hints about a job. All are optional; an explicit hint wins over derived values. */
export interface Hints extends LatencyHints {
  /** Concurrent functions at the job's peak. */
  readonly maxFunctions?: number
  /** Payload at the job's peak, without overhead of keys and index. */
  readonly capacityBytes?: number
  /** Reads and writes together at the job's peak. */
  readonly peakBytesPerSecond?: number
  /** Average number of reads of an object after it was written. */
  readonly readsPerObject?: number
}

/** The reservation that a job should get. */
export interface Demand extends ResourceVector {
  /** The tier that new bytes are written to first. */
  readonly latencyClass: Tier
  /** The price of its bytes on S3. */
  readonly s3PricePerHour: number
  /** Reads per object if they are about even, by hint or history; null if unknown. */
  readonly readsPerObject: number | null
}

/** The sources of a number, strongest first. `use`: the job has grown since. */
export const grounds = ['hint', 'use', 'history', 'table', 'default'] as const

/** Why a number was chosen: its source and the arithmetic. */
interface Reason {
  readonly ground: (typeof grounds)[number]
  readonly because: string
}

/** A demand with the reason for each of its numbers. */
export interface Sizing {
  readonly demand: Demand
  readonly reasons: {
    readonly latencyClass: Reason
    readonly bytes: Reason
    readonly bytesPerSecond: Reason
    /** The compared splits over tiers, the chosen one first; at most `MIXES_SHOWN_MAX`. */
    readonly mixes: readonly Mix[]
  }
}

/** The inputs of `rightsize` besides the hints. */
export interface SizingOptions {
  /** The class whose ratio relates throughput and capacity. */
  readonly nodeClass: NodeClass
  /** The classes, with prices, that may meet the demand. */
  readonly classes: readonly NodeClass[]
  readonly traits: TierTraits
  /** The tiers that storage nodes serve. */
  readonly served: ReadonlySet<Tier>
  /** From earlier runs of the name; null while there are too few. */
  readonly learned: Learned | null
}

/** Maximum throughput of one function: 0.6 Gb/s, measured by Pocket on AWS Lambda (OSDI'18, Table 3). */
const FUNCTION_BYTES_PER_SECOND = 75_000_000

/**
 * A job without a hint of its size gets this fraction of a node of the first class. Pocket's default is 50 machines, which a cluster on a
 * laptop would refuse to every job. With an eighth, eight such jobs share a node, and history corrects the size after three runs.
 */
const DEFAULT_NODE_FRACTION = 1 / 8

/**
 * Headroom for keys, index entries and record headers: an object costs `ENTRY_OVERHEAD_BYTES` (128) and its key. A sixteenth covers that for objects from 2 KiB
 * on, and the mebibyte covers some thousand tiny ones; a job of small objects alone should hint a larger capacity. All headroom is in RAM, whichever tier the
 * payload is on.
 */
const HEADROOM_FRACTION = 1 / 16
const HEADROOM_BYTES_MIN = 1024 * 1024

/** Number of splits that are shown; with one class there are at most three. */
const MIXES_SHOWN_MAX = 8

/** Pocket's ratio assumes data that is written once and read once, as in its sort job. */
const READS_DEFAULT = 1

interface Amount extends Reason {
  readonly amount: number
}

/** The bounds of derived values. */
type Most = ReturnType<typeof mostOf>

/**
 * Each number comes from the first source that has one: the explicit hint; the usage of earlier runs of the name; Pocket's Table 3, scaled from its i3.2xlarge
 * to `nodeClass`, where throughput and capacity are derived from each other by the ratio of the class; a default. Derived numbers never exceed what the cluster
 * can have: 54 functions would saturate 4 GB/s, but a job of 54 functions works with less. An explicit hint is not reduced; it is refused if the cluster cannot
 * satisfy it. The result is split over the tiers that the job's latency class allows (`mixTiers`).
 * Throws `RESERVATION_REFUSED` for a demand that no number of nodes could satisfy.
 */
export function rightsize(hints: Hints, by: SizingOptions): Sizing {
  const { allowed, least, ...latencyClass } = latencyClassOf(hints, by)
  const mixedBy = { ...by, allowed, least }
  const most = mostOf(mixedBy)
  const rate = throughputOf(hints, by, most)
  const capacity = capacityOf(hints, by, { rate, most })
  const bytes = Math.max(HEADROOM_BYTES_MIN, Math.ceil(capacity.amount))
  const load: Load = {
    bytes,
    ramBytesMin: Math.max(
      HEADROOM_BYTES_MIN,
      Math.ceil((bytes * HEADROOM_FRACTION) / (1 + HEADROOM_FRACTION)),
    ),
    bytesPerSecond: Math.max(1, Math.ceil(rate.amount)),
    readsPerObject: hints.readsPerObject ?? by.learned?.readsPerObject ?? READS_DEFAULT,
  }
  const mixes = mixTiers(load, mixedBy)
  const [mix] = mixes
  if (mix === undefined) throw tooMuch(load, mixedBy)
  return {
    demand: { ...demandOf(load, mix), readsPerObject: readsKnown(hints, by) },
    reasons: {
      latencyClass,
      bytes: reasonOf(capacity),
      bytesPerSecond: reasonOf(rate),
      mixes: mixes.slice(0, MIXES_SHOWN_MAX),
    },
  }
}

/** Nodes use this to choose demotion victims. An average says nothing about an object if a few objects get most of the reads. */
function readsKnown({ readsPerObject }: Hints, { learned }: SizingOptions): number | null {
  return readsPerObject ?? (learned?.isEven ? learned.readsPerObject : null)
}

function demandOf(
  { ramBytesMin, bytesPerSecond }: Load,
  { bytes, s3PricePerHour }: Mix,
): Omit<Demand, 'readsPerObject'> {
  const payload = { ...bytes, ram: bytes.ram - ramBytesMin }
  return {
    latencyClass: tiers.find((tier) => payload[tier] > 0) ?? 'ram',
    ramBytes: bytes.ram,
    ssdBytes: bytes.ssd,
    s3Bytes: bytes.s3,
    bytesPerSecond,
    s3PricePerHour,
  }
}

/** What S3 charges an hour for the bytes of a demand there. */
export function s3PriceOfDemand(demand: Demand, traits: TierTraits): number {
  const bytes = bytesOf(demand)
  const { bytesPerSecond, s3Bytes } = demand
  const load = { bytes, bytesPerSecond, readsPerObject: demand.readsPerObject ?? READS_DEFAULT }
  return (s3Bytes / bytes) * s3PriceOf(load, traits)
}

function tooMuch({ bytes, bytesPerSecond }: Load, by: MixOptions): MayflyError {
  const most = mostOf(by)
  const there = `${most.bytesAt(0)} bytes and ${most.bytesPerSecond} bytes/s`
  return new MayflyError(
    'RESERVATION_REFUSED',
    `Asked for ${bytes} bytes and ${bytesPerSecond} bytes/s on ${[...by.allowed].join(', ')}; all nodes that there may be have ${there} of that; it can never be met`,
  )
}

function throughputOf(hints: Hints, { nodeClass, learned }: SizingOptions, most: Most): Amount {
  const { maxFunctions, capacityBytes, peakBytesPerSecond } = hints
  if (peakBytesPerSecond !== undefined) {
    return {
      amount: peakBytesPerSecond,
      ground: 'hint',
      because: `hint peakBytesPerSecond ${peakBytesPerSecond}`,
    }
  }
  const derived = (): Amount => {
    if (learned !== null) return fromHistory(learned, 'bytesPerSecond')
    if (maxFunctions !== undefined) {
      const amount = maxFunctions * FUNCTION_BYTES_PER_SECOND
      return {
        amount,
        ground: 'table',
        because: `${maxFunctions} functions × ${FUNCTION_BYTES_PER_SECOND} bytes/s`,
      }
    }
    if (capacityBytes !== undefined) {
      const ratio = ratioOf(nodeClass, hints)
      const amount = (capacityBytes * ratio.bytesPerSecond) / ratio.bytes
      return { amount, ground: 'table', because: `capacity ${capacityBytes} × ${ratio.text}` }
    }
    const amount = nodeClass.bytesPerSecond * DEFAULT_NODE_FRACTION
    const because = `no hint: 1/8 of the ${nodeClass.bytesPerSecond} bytes/s of a node of class ${nodeClass.name}`
    return { amount, ground: 'default', because }
  }
  return atMost(derived(), most.bytesPerSecond)
}

function capacityOf(
  hints: Hints,
  { nodeClass, learned }: SizingOptions,
  { rate, most }: { rate: Amount; most: Most },
): Amount {
  const { maxFunctions, capacityBytes } = hints
  if (capacityBytes !== undefined) {
    const amount = capacityBytes * (1 + HEADROOM_FRACTION) + HEADROOM_BYTES_MIN
    const because = `hint capacityBytes ${capacityBytes}, × 17/16 + ${HEADROOM_BYTES_MIN} for keys and index`
    return { amount, ground: 'hint', because }
  }
  const derived = (): Amount => {
    if (learned !== null) return fromHistory(learned, 'bytes')
    const functions = maxFunctions === undefined ? null : maxFunctions * FUNCTION_BYTES_PER_SECOND
    if (functions === null && rate.ground === 'default') {
      const because = `no hint: 1/8 of the ${nodeClass.ramBytes} bytes of a node of class ${nodeClass.name}`
      return { amount: nodeClass.ramBytes * DEFAULT_NODE_FRACTION, ground: 'default', because }
    }
    const bytesPerSecond = functions ?? rate.amount
    const ratio = ratioOf(nodeClass, hints)
    const amount = (bytesPerSecond * ratio.bytes) / ratio.bytesPerSecond
    return { amount, ground: 'table', because: `throughput ${bytesPerSecond} ÷ ${ratio.text}` }
  }
  return atMost(derived(), most.bytesAt(Math.min(rate.amount, most.bytesPerSecond)))
}

function fromHistory({ runs, peak }: Learned, dimension: keyof Learned['peak']): Amount {
  const { percentile, margin } = LEARNED_BY[dimension]
  return {
    amount: peak[dimension] * margin,
    ground: 'history',
    because: `percentile ${percentile} of the peaks of ${runs} runs, ${peak[dimension]}, × ${margin}`,
  }
}

/**
 * The ratio of throughput to bytes by which one is derived from the other: that of the class, raised by reads. Data written once and read R
 * times is transferred 1 + R times, not twice.
 */
function ratioOf(
  { name, ramBytes, bytesPerSecond }: NodeClass,
  { readsPerObject }: Hints,
): { bytes: number; bytesPerSecond: number; text: string } {
  const text = `${bytesPerSecond} bytes/s per ${ramBytes} bytes of class ${name}`
  if (readsPerObject === undefined) return { bytes: ramBytes, bytesPerSecond, text }
  return {
    bytes: ramBytes,
    bytesPerSecond: (bytesPerSecond * (1 + readsPerObject)) / (1 + READS_DEFAULT),
    text: `(${text} × (1 + readsPerObject ${readsPerObject}) / 2)`,
  }
}

function atMost(amount: Amount, limit: number): Amount {
  if (amount.amount <= limit) return amount
  return { ...amount, amount: limit, because: `${amount.because}, cut to all that the cluster can have` }
}

function reasonOf({ ground, because }: Amount): Reason {
  return { ground, because }
}
