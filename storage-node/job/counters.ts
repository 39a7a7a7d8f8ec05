import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import { type Movement, nothingMoved } from '../../protocol/operations/reports.ts'
import { RAM } from '../tiers/job-tiers.ts'

/** What was done on one tier. */
export type TierCounters = { -readonly [Name in keyof Movement]: number }

/** What was done with a job's objects and chunks on this node since the job came here. None of these numbers falls. */
export class JobCounters {
  /** Puts and beginnings of objects, and chunks. */
  stored = 0
  /**
   * Over all of them the squares of how often each was read, as far as its record knows. Beside the sum of the reads they tell
   * whether all are read about as often. Counted only where objects leave RAM.
   */
  readSquares = 0
  /** The only tier that most jobs have: found without a look at its number. */
  readonly ram: TierCounters = newTierActivity()
  readonly #byTier: readonly TierCounters[] = tiers.map((_, number) =>
    number === RAM ? this.ram : newTierActivity(),
  )

  on(tier: number): TierCounters {
    return this.#byTier[tier] ?? this.ram
  }

  /** Something was read that was read so often before. */
  readAgain(reads: number): void {
    this.readSquares += 2 * reads + 1
  }

  /** By the names of their tiers. */
  *movements(): Generator<[Tier, Movement]> {
    for (const [number, movement] of this.#byTier.entries()) yield [tiers[number] as Tier, movement]
  }
}

function newTierActivity(): TierCounters {
  return { ...nothingMoved }
}
