import { assert } from '../../protocol/assert.ts'
import { MayflyError } from '../../protocol/errors.ts'
import { tiers as tierNames } from '../../protocol/operations/data-operations.ts'
import { JobBudget, type TierBudget } from '../budget/budget.ts'
import { type Location, NO_RECORD } from '../memory/record.ts'
import { TIER_HIGH_WATERMARK, TIER_LOW_WATERMARK } from './limits.ts'
import type { Range, TierSpace, TierStore } from './tier-store.ts'

/** Numbers of the tiers; RAM is the highest. */
export const RAM = 0
export const SSD = tierNames.indexOf('ssd')
export const S3 = tierNames.indexOf('s3')

/** A tier below RAM on a node. */
export interface LowerTier {
  /** Its index in `tiers` of the protocol: lower tiers have higher numbers. */
  readonly number: number
  readonly store: TierStore
  readonly budget: TierBudget
}

interface Part extends LowerTier {
  /** Null until something is written. */
  space: TierSpace | null
  readonly job: JobBudget
  objects: number
}

/** The bytes and budgets of one job on the tiers below RAM. */
export class JobTiers {
  readonly #job: string
  /** From the highest tier to the lowest. */
  readonly #parts: readonly Part[]
  #ended = false

  constructor(job: string, tiers: readonly LowerTier[]) {
    this.#job = job
    this.#parts = tiers.map((tier) => ({ ...tier, space: null, job: new JobBudget(), objects: 0 }))
  }

  /** Whether the job may use any tier below RAM. */
  get any(): boolean {
    return this.#parts.some(({ job }) => job.bytesMax > 0)
  }

  /** The next lower tier that the job may use; null if there is none. */
  nextLower(tier: number): number | null {
    return this.#parts.find(({ number, job }) => number > tier && job.bytesMax > 0)?.number ?? null
  }

  /** Whether the job may use the tier. */
  allows(tier: number): boolean {
    return (this.#find(tier)?.job.bytesMax ?? 0) > 0
  }

  /** Bytes and objects of the job on each tier of the node. */
  *used(): Generator<{ tier: number; bytes: number; objects: number }> {
    for (const { number, job, objects } of this.#parts)
      yield { tier: number, bytes: job.usedBytes, objects: Math.max(0, objects) }
  }

  setBudget(tier: number, bounds: Omit<JobBudget, 'usedBytes'>): void {
    const part = this.#find(tier)
    if (part !== undefined && !this.#ended) part.budget.resize(part.job, bounds)
  }

  isOverHigh(tier: number): boolean {
    const { job } = this.#part(tier)
    return this.nextLower(tier) !== null && job.usedBytes > job.reservedBytes * TIER_HIGH_WATERMARK
  }

  isOverLow(tier: number): boolean {
    const { job } = this.#part(tier)
    return this.nextLower(tier) !== null && job.usedBytes > job.reservedBytes * TIER_LOW_WATERMARK
  }

  admits(tier: number, bytes: number): boolean {
    const { budget, job } = this.#part(tier)
    return budget.admits(job, bytes)
  }

  /** Charges bytes that are on the tier or on their way there; negative bytes are gone. */
  charge(tier: number, bytes: number): void {
    if (this.#ended) return
    const { budget, job } = this.#part(tier)
    budget.use(job, bytes)
  }

  /** As `charge`, for one object. */
  count(tier: number, { objects, bytes }: { objects: 1 | -1; bytes: number }): void {
    this.#part(tier).objects += objects
    this.charge(tier, objects * bytes)
  }

  /** As `TierSpace.write`. The record belongs to nothing until it is counted. */
  async write(tier: number, bytes: Buffer): Promise<Location> {
    if (this.#ended) throw new MayflyError('JOB_ENDED', 'The job has ended')
    const part = this.#part(tier)
    part.space ??= part.store.open(this.#job)
    return { tier, record: await part.space.write(bytes) }
  }

  /** As `TierSpace.read`. */
  async read({ tier, record }: Location, range: Range): Promise<Buffer> {
    if (this.#ended) throw new MayflyError('JOB_ENDED', 'The job has ended')
    const { space } = this.#part(tier)
    assert(space !== null, 'a record lies in a space that was opened')
    return await space.read(record, range)
  }

  /** Removes a record, if there is one. */
  remove({ tier, record }: Location): void {
    if (record !== NO_RECORD && !this.#ended) this.#part(tier).space?.remove(record)
  }

  /** Records on all of these tiers. */
  get records(): number {
    return this.#parts.reduce((sum, { space }) => sum + (space?.records ?? 0), 0)
  }

  /** Releases all bytes at once. Resolves when the space is free; rejects if a tier cannot free it. */
  async end(): Promise<void> {
    this.#ended = true
    // Even if nothing was written from here: a node that died may have left records on a tier that all nodes share.
    const spaces = this.#parts.map(
      ({ space, job, store }) => space ?? (job.bytesMax > 0 ? store.open(this.#job) : null),
    )
    for (const { budget, job } of this.#parts) budget.leave(job)
    await Promise.all(spaces.map((space) => space?.drop()))
  }

  #part(tier: number): Part {
    const part = this.#find(tier)
    assert(part !== undefined, 'bytes lie on a tier that the node has')
    return part
  }

  #find(tier: number): Part | undefined {
    return this.#parts.find(({ number }) => number === tier)
  }
}
