import type { Tier } from '../protocol/data-operations.ts'
import { LEARNED_MARGIN, LEARNED_PERCENTILE, type Learned } from './history.ts'
import { type NodeClass, type ResourceVector, servedTiers } from './node-class.ts'

/** What a user says of a job. Each is optional; an explicit one always wins over what is derived from others. */
export interface Hints {
  /** True, the default as in Pocket: RAM first. False: the cheapest tier that there is. */
  readonly latencySensitive?: boolean
  /** Functions that run at once at the job's peak. */
  readonly maxFunctions?: number
  /** Payload at the job's peak, without what keys and index add. */
  readonly capacityBytes?: number
  /** Reads and writes together at the job's peak. */
  readonly peakBytesPerSecond?: number
}

/** What is to be set aside for a job. */
export interface Demand extends ResourceVector {
  /** The tier where new bytes go first. */
  readonly latencyClass: Tier
}

/** From where a number of a demand comes, the strongest first. */
export const grounds = ['hint', 'history', 'table', 'default'] as const

/** Why a number is what it is: the ground that decided, and the arithmetic as a reader can check it. */
interface Reason {
  readonly ground: (typeof grounds)[number]
  readonly because: string
}

/** A demand, with the reason of each of its numbers. */
export interface Sizing {
  readonly demand: Demand
  readonly reasons: { readonly latencyClass: Reason; readonly bytes: Reason; readonly bytesPerSecond: Reason }
}

/** What hints are sized by. */
export interface SizedBy {
  readonly nodeClass: NodeClass
  /** All that the cluster can ever have. */
  readonly limit: ResourceVector
  /** Of earlier runs of the job's name; null while there are too few. */
  readonly learned: Learned | null
}

/** What one function moves at most: 0.6 Gb/s, measured by Pocket on AWS Lambda (OSDI'18, Table 3). */
const FUNCTION_BYTES_PER_SECOND = 75_000_000

/**
 * A job without a hint of its size gets this part of one node of the first class. Pocket gives it 50 whole
 * machines, which a cluster on a laptop would refuse to every job; an eighth lets eight such jobs share a node, and
 * what is wrong about it the history of the name mends after three runs.
 */
const DEFAULT_NODE_FRACTION = 1 / 8

/**
 * Keys, index entries and headers of small objects take room beside the payload: an object costs
 * `ENTRY_OVERHEAD_BYTES` (128) and its key. A sixteenth covers that for objects from 2 KiB on, the mebibyte for
 * some thousand tiny ones; a job of nothing but small objects should hint a larger capacity.
 */
const HEADROOM_FRACTION = 1 / 16
const HEADROOM_BYTES_MIN = 1024 * 1024

interface Amount extends Reason {
  readonly amount: number
}

/**
 * Each number comes from the first ground that has one: the explicit hint; what earlier runs of the name used;
 * Pocket's Table 3, scaled from its i3.2xlarge to `nodeClass`, where throughput and capacity follow from one another at
 * the class's own ratio; a default. What is derived is never more than the cluster can ever have: 54 functions would
 * saturate 4 GB/s, but a job of 54 functions works on less. An explicit hint stays as it is, and is refused if the
 * cluster cannot give it.
 */
export function rightsize(hints: Hints, by: SizedBy): Sizing {
  const rate = throughputOf(hints, by)
  const bytes = capacityOf(hints, by, rate)
  const latencyClass = latencyClassOf(hints)
  return {
    demand: {
      latencyClass: latencyClass.tier,
      ramBytes: Math.max(HEADROOM_BYTES_MIN, Math.ceil(bytes.amount)),
      bytesPerSecond: Math.max(1, Math.ceil(rate.amount)),
    },
    reasons: { latencyClass: latencyClass.reason, bytes: reasonOf(bytes), bytesPerSecond: reasonOf(rate) },
  }
}

function throughputOf(hints: Hints, { nodeClass, limit, learned }: SizedBy): Amount {
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
      const amount = (capacityBytes * nodeClass.bytesPerSecond) / nodeClass.ramBytes
      return { amount, ground: 'table', because: `capacity ${capacityBytes} × ${ratioOf(nodeClass)}` }
    }
    const amount = nodeClass.bytesPerSecond * DEFAULT_NODE_FRACTION
    const because = `no hint: 1/8 of the ${nodeClass.bytesPerSecond} bytes/s of a node of class ${nodeClass.name}`
    return { amount, ground: 'default', because }
  }
  return atMost(derived(), limit.bytesPerSecond)
}

function capacityOf(hints: Hints, { nodeClass, limit, learned }: SizedBy, rate: Amount): Amount {
  const { maxFunctions, capacityBytes } = hints
  if (capacityBytes !== undefined) {
    const amount = capacityBytes * (1 + HEADROOM_FRACTION) + HEADROOM_BYTES_MIN
    const because = `hint capacityBytes ${capacityBytes}, × 17/16 + ${HEADROOM_BYTES_MIN} for keys and index`
    return { amount, ground: 'hint', because }
  }
  const derived = (): Amount => {
    if (learned !== null) return fromHistory(learned, 'bytes')
    const functions = maxFunctions === undefined ? null : maxFunctions * FUNCTION_BYTES_PER_SECOND
    const bytesPerSecond = functions ?? rate.amount
    const amount = (bytesPerSecond * nodeClass.ramBytes) / nodeClass.bytesPerSecond
    if (functions === null && rate.ground === 'default') {
      const because = `no hint: 1/8 of the ${nodeClass.ramBytes} bytes of a node of class ${nodeClass.name}`
      return { amount, ground: 'default', because }
    }
    return { amount, ground: 'table', because: `throughput ${bytesPerSecond} ÷ ${ratioOf(nodeClass)}` }
  }
  return atMost(derived(), limit.ramBytes)
}

function fromHistory({ runs, peak }: Learned, dimension: keyof Learned['peak']): Amount {
  return {
    amount: peak[dimension] * LEARNED_MARGIN,
    ground: 'history',
    because: `percentile ${LEARNED_PERCENTILE} of the peaks of ${runs} runs, ${peak[dimension]}, × ${LEARNED_MARGIN}`,
  }
}

/** A class's throughput per byte of its memory, by which the table makes one from the other. */
function ratioOf({ name, ramBytes, bytesPerSecond }: NodeClass): string {
  return `${bytesPerSecond} bytes/s per ${ramBytes} bytes of class ${name}`
}

function atMost(amount: Amount, limit: number): Amount {
  if (amount.amount <= limit) return amount
  return { ...amount, amount: limit, because: `${amount.because}, cut to all that the cluster can have` }
}

function latencyClassOf({ latencySensitive }: Hints): { tier: Tier; reason: Reason } {
  const [fastest] = servedTiers
  const tier = latencySensitive === false ? (servedTiers.at(-1) ?? fastest) : fastest
  if (latencySensitive === undefined)
    return { tier, reason: { ground: 'default', because: 'no hint: RAM first' } }
  return { tier, reason: { ground: 'hint', because: `hint latencySensitive ${latencySensitive}` } }
}

function reasonOf({ ground, because }: Amount): Reason {
  return { ground, because }
}
