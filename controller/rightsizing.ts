import type { Tier } from '../protocol/data-operations.ts'
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

/** What hints are sized by. */
export interface Sizing {
  readonly nodeClass: NodeClass
  /** All that the cluster can ever have. */
  readonly limit: ResourceVector
}

/** What one function moves at most: 0.6 Gb/s, measured by Pocket on AWS Lambda (OSDI'18, Table 3). */
const FUNCTION_BYTES_PER_SECOND = 75_000_000

/**
 * A job without a hint of its size gets this part of one node of the first class. Pocket gives it 50 whole
 * machines, which a cluster on a laptop would refuse to every job; an eighth lets eight such jobs share a node.
 */
const DEFAULT_NODE_FRACTION = 1 / 8

/**
 * Keys, index entries and headers of small objects take room beside the payload: an object costs
 * `ENTRY_OVERHEAD_BYTES` (128) and its key. A sixteenth covers that for objects from 2 KiB on, the mebibyte for
 * some thousand tiny ones; a job of nothing but small objects should hint a larger capacity.
 */
const HEADROOM_FRACTION = 1 / 16
const HEADROOM_BYTES_MIN = 1024 * 1024

/**
 * Pocket's Table 3, scaled from its i3.2xlarge to `nodeClass`: throughput and capacity that were not
 * hinted follow from what was, at the class's own ratio of bytes per second to bytes. What is derived is never more
 * than the cluster can ever have: 54 functions would saturate 4 GB/s, but a job of 54 functions works on less. An
 * explicit hint stays as it is, and is refused if the cluster cannot give it.
 */
export function rightsize(hints: Hints, { nodeClass, limit }: Sizing): Demand {
  const bytesPerByte = nodeClass.bytesPerSecond / nodeClass.ramBytes
  const ofFunctions =
    hints.maxFunctions === undefined ? undefined : hints.maxFunctions * FUNCTION_BYTES_PER_SECOND
  const ofCapacity = hints.capacityBytes === undefined ? undefined : hints.capacityBytes * bytesPerByte
  const derived = ofFunctions ?? ofCapacity ?? nodeClass.bytesPerSecond * DEFAULT_NODE_FRACTION
  const bytesPerSecond = hints.peakBytesPerSecond ?? Math.min(derived, limit.bytesPerSecond)
  const ramBytes =
    hints.capacityBytes === undefined
      ? Math.min((ofFunctions ?? bytesPerSecond) / bytesPerByte, limit.ramBytes)
      : hints.capacityBytes * (1 + HEADROOM_FRACTION) + HEADROOM_BYTES_MIN
  return {
    latencyClass: latencyClassOf(hints),
    ramBytes: Math.max(HEADROOM_BYTES_MIN, Math.ceil(ramBytes)),
    bytesPerSecond: Math.max(1, Math.ceil(bytesPerSecond)),
  }
}

function latencyClassOf({ latencySensitive = true }: Hints): Tier {
  const [fastest] = servedTiers
  return latencySensitive ? fastest : (servedTiers.at(-1) ?? fastest)
}
