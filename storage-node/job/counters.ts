import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import { type Movement, nothingMoved } from '../../protocol/operations/reports.ts'
import { type JobTiers, RAM } from '../tiers/job-tiers.ts'

/** What happened on one tier. */
export type TierCounters = { -readonly [Name in keyof Movement]: number }

/** Counters of a job's objects and chunks on this node since the job came here. They only rise. */
export class JobCounters {
  /** Puts, first appends and chunks. */
  stored = 0
  /**
   * The sum of squared reads per object, as far as records count them. With the sum of reads it shows whether
   * all objects are read about equally often. Counted only for jobs that use lower tiers.
   */
  readSquares = 0
  /** Direct access to the counters of RAM, the only tier of most jobs. */
  readonly ram: TierCounters = newTierActivity()
  readonly #byTier: readonly TierCounters[] = tiers.map((_, number) =>
    number === RAM ? this.ram : newTierActivity(),
  )

  on(tier: number): TierCounters {
    return this.#byTier[tier] ?? this.ram
  }

  /** Something that had been read `reads` times was read once more. */
  readAgain(reads: number): void {
    this.readSquares += 2 * reads + 1
  }

  /** By tier name. */
  *movements(): Generator<[Tier, Movement]> {
    for (const [number, movement] of this.#byTier.entries()) yield [tiers[number] as Tier, movement]
  }
}

/** Bytes of a job on each tier that the node has. */
export function bytesByTier(job: {
  readonly usedBytes: number
  readonly tiers: JobTiers
}): Partial<Record<Tier, number>> {
  const bytes: Partial<Record<Tier, number>> = { ram: job.usedBytes }
  for (const used of job.tiers.used()) {
    const name = tiers[used.tier]
    if (name !== undefined) bytes[name] = used.bytes
  }
  return bytes
}

function newTierActivity(): TierCounters {
  return { ...nothingMoved }
}
