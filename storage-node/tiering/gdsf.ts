import type { Tier } from '../../protocol/operations/data-operations.ts'

/**
 * Picks objects to demote: Greedy-Dual-Size-Frequency (Cherkasova, 1998), as FaasCache (ASPLOS '21, section
 * 4) applies it to functions. Priority is `clock + frequency × cost / size`. The object with the lowest
 * priority is the victim, and the clock advances to that priority. So old values age relative to new ones.
 */
export interface Worth {
  /** Reads that count, see `frequencyOf`. */
  readonly frequency: number
  readonly bytes: number
  /** How much longer a read takes after demotion, see `readCostMs`. */
  readonly costMs: number
}

/** What the choice of victims uses. */
export interface Ranked {
  readonly priority: number
  readonly bytes: number
}

/** One of so many sampled objects leaves. The others show where the lowest part begins. */
export const SAMPLED_PER_VICTIM = 16

/** The policy of one tier of one job, with its clock. */
export class Gdsf {
  #clock = 0

  /** Computed at each read and valid from then on, independent of later clock values. */
  priorityOf(worth: Worth): number {
    return this.#clock + gainOf(worth)
  }

  /**
   * The lowest of a sample: enough to free `bytes`, at most the share, at least one if there is any. Advances
   * the clock.
   */
  chooseVictims<T extends Ranked>(sample: readonly T[], bytes: number): T[] {
    const ordered = sample.toSorted((a, b) => a.priority - b.priority)
    const most = Math.max(1, Math.floor(sample.length / SAMPLED_PER_VICTIM))
    const victims: T[] = []
    for (let held = 0; victims.length < Math.min(most, ordered.length) && held < bytes; ) {
      const victim = ordered[victims.length] as T
      victims.push(victim)
      held += victim.bytes
      this.#clock = Math.max(this.#clock, victim.priority)
    }
    return victims
  }
}

/** Saved ms per byte by staying on the tier: a priority without the clock. */
export function gainOf({ frequency, bytes, costMs }: Worth): number {
  return (frequency * costMs) / Math.max(1, bytes)
}

/**
 * The frequency term of an object. If the reads per object are known, it is the number of reads still to
 * come: ephemeral data is often read once, and an object just read is then worth least. Otherwise it is past
 * reads plus one for the put.
 */
export function frequencyOf(reads: number, readsPerObject: number | null): number {
  return readsPerObject === null ? 1 + reads : Math.max(0, readsPerObject - reads)
}

/** Read latency and throughput of each tier: a low-cost local SSD and a nearby object store. */
const tierCosts = {
  ram: { latencyMs: 0, bytesPerMs: Number.POSITIVE_INFINITY },
  ssd: { latencyMs: 0.1, bytesPerMs: 500_000 },
  s3: { latencyMs: 12, bytesPerMs: 80_000 },
} as const satisfies Record<Tier, { latencyMs: number; bytesPerMs: number }>

/** How long reading so many bytes from a tier takes. */
export function readCostMs(tier: Tier, bytes: number): number {
  const { latencyMs, bytesPerMs } = tierCosts[tier]
  return latencyMs + bytes / bytesPerMs
}
