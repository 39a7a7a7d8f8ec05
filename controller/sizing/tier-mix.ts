import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import type { NodeClass, TierBytes } from './node-class.ts'
import type { TierTraits } from './tier-traits.ts'

/** The load to split over tiers. */
export interface Load {
  /** A whole number above 0. */
  readonly bytes: number
  /** Bytes that must be in RAM: keys and index. */
  readonly ramBytesMin: number
  /** Reads and writes together. */
  readonly bytesPerSecond: number
  /** Reads of each byte after it was written. */
  readonly readsPerObject: number
}

export interface MixOptions {
  readonly classes: readonly NodeClass[]
  /** The tiers that bytes may be on; RAM is one of them. */
  readonly allowed: ReadonlySet<Tier>
  /** `p99Ms` rises from RAM to S3. */
  readonly traits: TierTraits
  /** The objective; the other one breaks ties. */
  readonly least: 'price' | 'latency'
}

/** One way to split the bytes. */
export interface Mix {
  /** The classes whose nodes it is computed for. */
  readonly nodeClasses: readonly string[]
  readonly bytes: TierBytes
  readonly pricePerHour: number
  /** The part of the price that S3 charges; the rest is for nodes. */
  readonly s3PricePerHour: number
  /** `p99Ms` of the tiers, averaged over the bytes. */
  readonly latencyMs: number
}

/** Nodes that a job may use together. */
interface Pool {
  readonly nodeClasses: readonly string[]
  readonly ramBytes: number
  readonly ssdBytes: number
  readonly bytesPerSecond: number
  readonly pricePerHour: number
}

const GIB = 2 ** 30

/**
 * Ways to split a load over tiers, the best first; none if no nodes can carry it. It is a linear program for each pool
 * of nodes (`poolsOf`), of R bytes of RAM, S of SSD and B bytes/s at a price P. It has the bytes on each tier as variables,
 * and u, the part of the pool that the job keeps from others, which is what it pays for (`priceOf` in quota.ts):
 *
 *     least       P·u + c·s3       c: what S3 charges for a byte an hour, stored and moved
 *     subject to  ram + ssd + s3 = bytes,  ram ≥ ramBytesMin,  0 where a tier is not allowed
 *                 ram ≤ R·u,  ssd ≤ S·u,  bytesPerSecond ≤ B·u,  u ≤ 1
 *
 * Capacity, throughput and latency are what Pocket fits (OSDI'18, section 4.1); u is the dominant share of DRF (Ghodsi et
 * al., NSDI'11). For a given u the best split fills the fastest tier first, because bytes on nodes cost nothing beyond P·u and
 * bytes on S3 do. So only u has to be searched, and the optimum is at one of three corners, except for rounding to whole bytes:
 *
 * - the smallest u with enough throughput and RAM for the index; from there on the price is linear in u,
 * - the smallest u at which no bytes are on S3; beyond it the price only rises,
 * - u = 1, where as many bytes as possible are in RAM; latency falls up to there.
 */
export function mixTiers(load: Load, by: MixOptions): Mix[] {
  const mixes = poolsOf(by).flatMap((pool) => cornersOf(load, pool, by))
  const order = by.least === 'price' ? byPrice : byLatency
  return mixes.sort(order)
}

/** The maximum bytes for a throughput, and the maximum throughput of any load. */
export function mostOf(by: MixOptions): {
  readonly bytesPerSecond: number
  bytesAt(bytesPerSecond: number): number
} {
  const pools = poolsOf(by)
  return {
    bytesPerSecond: Math.max(0, ...pools.map((pool) => pool.bytesPerSecond)),
    bytesAt: (bytesPerSecond) => {
      const able = pools.filter((pool) => pool.bytesPerSecond >= bytesPerSecond)
      if (able.length > 0 && by.allowed.has('s3')) return Number.POSITIVE_INFINITY
      return Math.max(0, ...able.map(({ ramBytes, ssdBytes }) => ramBytes + ssdBytes))
    },
  }
}

/**
 * Each class alone, then all classes together and those with SSD, for larger loads. The parts of a job have equal proportions, so a pool of
 * several classes uses SSD only if all have it.
 */
function poolsOf({ classes, allowed }: MixOptions): Pool[] {
  const usable = classes.filter(({ nodesMax }) => nodesMax > 0)
  const withSsd = usable.filter(({ ssdBytes }) => ssdBytes > 0)
  const groups = usable.map((each) => [each])
  if (usable.length > 1) groups.push(usable)
  if (allowed.has('ssd') && withSsd.length > 1 && withSsd.length < usable.length) groups.push(withSsd)
  return groups.map((group) => {
    const total = (of: (nodeClass: NodeClass) => number): number =>
      group.reduce((sum, each) => sum + of(each) * each.nodesMax, 0)
    const hasSsd = allowed.has('ssd') && group.every(({ ssdBytes }) => ssdBytes > 0)
    return {
      nodeClasses: group.map(({ name }) => name),
      ramBytes: total(({ ramBytes }) => ramBytes),
      ssdBytes: hasSsd ? total(({ ssdBytes }) => ssdBytes) : 0,
      bytesPerSecond: total(({ bytesPerSecond }) => bytesPerSecond),
      pricePerHour: total(({ pricePerHour }) => pricePerHour),
    }
  })
}

/** The splits at the corners of the linear program of one pool, without duplicates. */
function cornersOf(load: Load, pool: Pool, by: MixOptions): Mix[] {
  const { bytes, ramBytesMin, bytesPerSecond } = load
  const { ramBytes, ssdBytes } = pool
  const least = Math.max(bytesPerSecond / pool.bytesPerSecond, ramBytesMin / ramBytes)
  if (least > 1) return []
  const corners = [least, bytes / (ramBytes + ssdBytes), 1]
    .map((part) => Math.min(1, Math.max(least, part)))
    .map((part) => fill(load, pool, part))
    .filter(({ s3 }) => s3 === 0 || by.allowed.has('s3'))
  const distinct = new Map(corners.map((split) => [`${split.ram} ${split.ssd}`, split]))
  return [...distinct.values()].map((split) => valued(split, load, { pool, by }))
}

/** Fills the fastest tier first, within a fraction of the pool. */
function fill({ bytes }: Load, { ramBytes, ssdBytes }: Pool, part: number): TierBytes {
  const ram = Math.min(bytes, ramBytes, Math.ceil(ramBytes * part))
  const ssd = Math.min(bytes - ram, ssdBytes, Math.ceil(ssdBytes * part))
  return { ram, ssd, s3: bytes - ram - ssd }
}

function valued(bytes: TierBytes, load: Load, { pool, by }: { pool: Pool; by: MixOptions }): Mix {
  const part = Math.max(
    bytes.ram / pool.ramBytes,
    bytes.ssd === 0 ? 0 : bytes.ssd / pool.ssdBytes,
    load.bytesPerSecond / pool.bytesPerSecond,
  )
  const s3PricePerHour = (bytes.s3 / load.bytes) * s3PriceOf(load, by.traits)
  return {
    nodeClasses: pool.nodeClasses,
    bytes,
    pricePerHour: pool.pricePerHour * part + s3PricePerHour,
    s3PricePerHour,
    latencyMs: tiers.reduce((sum, tier) => sum + by.traits[tier].p99Ms * (bytes[tier] / load.bytes), 0),
  }
}

/** The price of S3 per hour for the whole load: one transfer in 1 + readsPerObject is a write. */
export function s3PriceOf(
  { bytes, bytesPerSecond, readsPerObject }: Omit<Load, 'ramBytesMin'>,
  { s3 }: TierTraits,
): number {
  const perGibMoved = (s3.pricePerGibWritten + s3.pricePerGibRead * readsPerObject) / (1 + readsPerObject)
  return (bytes * s3.pricePerGibHour + bytesPerSecond * 3600 * perGibMoved) / GIB
}

/** Ignores rounding. */
function compare(a: number, b: number): number {
  return Math.abs(a - b) <= 1e-9 * Math.max(a, b) ? 0 : a - b
}

function byPrice(a: Mix, b: Mix): number {
  return compare(a.pricePerHour, b.pricePerHour) || compare(a.latencyMs, b.latencyMs)
}

function byLatency(a: Mix, b: Mix): number {
  return compare(a.latencyMs, b.latencyMs) || compare(a.pricePerHour, b.pricePerHour)
}
