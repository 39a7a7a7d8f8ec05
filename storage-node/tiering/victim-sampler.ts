import { tiers } from '../../protocol/operations/data-operations.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { NodeJob } from '../job/job.ts'
import { isExpired, isManifest, isRemote, type StoredObject, tierOf } from '../slot/stored-object.ts'
import {
  DEMOTED_BYTES_MAX,
  DEMOTED_BYTES_MIN,
  DEMOTION_BATCH_BYTES,
  DEMOTION_SAMPLE,
  DEMOTION_SCAN_CELLS,
} from '../tiers/limits.ts'
import { chunkCandidates, type DemotionCandidate, objectCandidate } from './candidate.ts'
import { frequencyOf, Gdsf, gainOf, type Ranked, readCostMs, SAMPLED_PER_VICTIM } from './gdsf.ts'

/** A sampled candidate. */
interface Sampled extends Ranked {
  readonly gain: number
  readonly candidate: DemotionCandidate
}

/** Table cells visited in one step of a sample. */
const STEP_CELLS = 256

/**
 * The objects of one job on one tier, as the demotion policy samples them. Records have no room for a
 * last-read clock. Instead, as in CLOCK, sampled objects that stay lose half of their reads: in each sample
 * one of so many as are sampled per victim, so that ageing follows the turnover of the tier.
 */
export class VictimSampler {
  /** Its number. */
  readonly tier: number
  running = false
  /** Back-off deadline, monotonic ms. */
  pausedUntilMs = 0
  readonly #job: NodeJob
  readonly #clock: Clock
  readonly #policy = new Gdsf()
  /** Samples so far. */
  #samples = 0
  /** Where the next sample starts: a slot, and a hash in its table. */
  #slot = 0
  #hash = 0
  /**
   * The median gain of the last sample's survivors. A hit on a lower tier must exceed it to be promoted; with
   * the minimum instead, equally read objects would swap for ever. Gains are compared because the clock has
   * advanced since, and would favour any newer priority.
   */
  #medianGain = 0

  constructor(job: NodeJob, tier: number, clock: Clock) {
    this.#job = job
    this.tier = tier
    this.#clock = clock
  }

  get isPaused(): boolean {
    return this.#clock.monotonicMs() < this.pausedUntilMs
  }

  pauseFor(ms: number): void {
    this.pausedUntilMs = Math.max(this.pausedUntilMs, this.#clock.monotonicMs() + ms)
  }

  /** The least valuable candidates of a sample, for demotion to `targetTier`. */
  async chooseVictims(targetTier: number): Promise<DemotionCandidate[]> {
    const sample = await this.#sample(targetTier)
    const victims = this.#policy.chooseVictims(sample, DEMOTION_BATCH_BYTES)
    const chosen = new Set(victims)
    const staying = sample.filter((each) => !chosen.has(each))
    // If reads to come are counted, past reads must not be halved.
    if (this.#job.readsPerObject === null) this.#age(staying)
    const gains = staying.map(({ gain }) => gain).sort((a, b) => a - b)
    this.#medianGain = gains[gains.length >> 1] ?? 0
    return victims.map(({ candidate: leaver }) => leaver)
  }

  #age(staying: readonly Sampled[]): void {
    for (let at = this.#samples++ % SAMPLED_PER_VICTIM; at < staying.length; at += SAMPLED_PER_VICTIM)
      staying[at]?.candidate.age()
  }

  /** Whether an object on a lower tier with so many reads is worth more than a typical one here. */
  isWorthPromoting({ tier, bytes, reads }: { tier: number; bytes: number; reads: number }): boolean {
    const { readsPerObject } = this.#job
    // A put counts as one read, see `frequencyOf`, and the hit itself is already counted.
    const frequency = readsPerObject === null ? reads : frequencyOf(reads, readsPerObject)
    return gainOf({ frequency, bytes, costMs: costOf(tier, bytes) }) > this.#medianGain
  }

  /** A part of the objects here, from where the last sample ended; all of them once if there are few. */
  async #sample(targetTier: number): Promise<Sampled[]> {
    const job = this.#job
    const found: Sampled[] = []
    for (let slots = 0; slots <= job.owned.count && found.length === 0 && !job.ended; ) {
      if (slots > 0) await sleep(this.#clock, 0)
      for (let cells = 0; cells < DEMOTION_SCAN_CELLS && slots <= job.owned.count; ) {
        cells += this.#scanStep((candidate) => {
          const { bytes } = candidate
          const frequency = frequencyOf(candidate.reads, job.readsPerObject)
          const worth = { frequency, bytes, costMs: costOf(targetTier, bytes) }
          found.push({
            priority: this.#policy.priorityOf(worth),
            gain: gainOf(worth),
            bytes,
            candidate,
          })
        })
        if (this.#hash === 0) slots++
        if (found.length >= DEMOTION_SAMPLE) break
      }
    }
    return found
  }

  /** Scans one step of a slot. Returns about how many cells were visited. */
  #scanStep(visit: (candidate: DemotionCandidate) => void): number {
    const job = this.#job
    const index = this.#slot % job.owned.count
    const slot = job.slots[index]
    const from = this.#hash
    this.#hash = 0
    this.#slot = index + 1
    if (slot === undefined) return 1
    const next = slot.objects.scan(from, STEP_CELLS, (object) => {
      if (this.#mayLeave(object)) visit(objectCandidate(job, { slot, index }, object))
    })
    if (next !== null) {
      this.#hash = next
      this.#slot = index
    }
    let looked = Math.min(STEP_CELLS, 2 * slot.objects.size + 1)
    if (from > 0) return looked
    for (const leaver of chunkCandidates(job, { slot, index }, this.tier)) {
      visit(leaver)
      looked++
    }
    return looked
  }

  #mayLeave(object: StoredObject): boolean {
    const { bytes } = object
    if (isRemote(object) || isManifest(object) || isExpired(object, this.#job.wallMs)) return false
    return tierOf(object) === this.tier && bytes >= DEMOTED_BYTES_MIN && bytes <= DEMOTED_BYTES_MAX
  }
}

/** How many ms longer a read takes on that tier than in RAM. */
function costOf(tier: number, bytes: number): number {
  const name = tiers[tier]
  return name === undefined ? 0 : readCostMs(name, bytes)
}
