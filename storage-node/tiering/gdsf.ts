import type { Tier } from '../../protocol/operations/data-operations.ts'

/**
 * Which object should leave a tier: Greedy-Dual-Size-Frequency (Cherkasova, 1998), as FaasCache (ASPLOS '21, section 4) uses it for
 * functions. An object's priority is `clock + frequency × cost / size`; the victim is the one with the lowest, and the clock
 * takes on its priority, so that what was worth much long ago ages beside what is worth something now.
 */
export interface Worth {
  /** Reads that speak for it, see `frequencyOf`. */
  readonly frequency: number
  readonly bytes: number
  /** What one read costs more once it has left, see `readCostMs`. */
  readonly costMs: number
}

/** What a choice among objects looks at. */
export interface Ranked {
  readonly priority: number
  readonly bytes: number
}

/** Of a sample, only what is in its lowest part leaves, one of so many: the rest was drawn to know how low that is. */
export const SAMPLED_PER_VICTIM = 16

/** The policy of one tier on one node, with its clock. */
export class Gdsf {
  #clock = 0

  /** To be computed anew at each read: it holds from then on, whatever the clock does. */
  priorityOf(worth: Worth): number {
    return this.#clock + gainOf(worth)
  }

  /**
   * The lowest of a sample, as many as hold `bytes` or as its share allows, and at least one where there is any. They count as
   * gone: the clock moves on.
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

/** What it saves to have so much of it on the tier, in ms for each byte: a priority without the clock. */
export function gainOf({ frequency, bytes, costMs }: Worth): number {
  return (frequency * costMs) / Math.max(1, bytes)
}

/**
 * How often an object counts as read. Where it is known how many reads an object of the job gets, what counts is how many
 * are still to come: ephemeral data is often read once, and then what was just read is worth least, not most. Else the past speaks
 * for the future, and being put counts as one read.
 */
export function frequencyOf(reads: number, readsPerObject: number | null): number {
  return readsPerObject === null ? 1 + reads : Math.max(0, readsPerObject - reads)
}

/** What a tier takes for a read of no bytes, and for each byte: a local SSD of the cheap kind, and an object store near by. */
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
