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

/** Something on a tier that may leave it. */
interface Sampled extends Ranked {
  readonly gain: number
  readonly candidate: DemotionCandidate
}

/** Cells of a table looked at in one step of a sample. */
const STEP_CELLS = 256

/**
 * What one job has on one tier, in the eyes of whoever chooses what leaves it. A record has no room for the clock at which it was
 * read last; instead, as in the CLOCK algorithm, what is looked at and stays loses half of its reads: in each sample one of so
 * many as are looked at for one that leaves, so that nothing ages faster than the tier turns over.
 */
export class VictimSampler {
  /** Its number. */
  readonly tier: number
  running = false
  /** Nothing is tried before. */
  pausedUntilMs = 0
  readonly #job: NodeJob
  readonly #clock: Clock
  readonly #policy = new Gdsf()
  /** Samples so far. */
  #samples = 0
  /** Where the next sample begins: a slot, and a hash in its table. */
  #slot = 0
  #hash = 0
  /**
   * The median gain of what was looked at last and stayed: what a hit below has to be worth more than to come back. Were it the
   * least, objects that are all read alike would change places for ever. Gains are compared and not priorities, for the clock has
   * moved on since, and by it anything would be worth more than what is here.
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

  /** What is worth least, of a part of what is here, once it has left for tier `to`. */
  async chooseVictims(targetTier: number): Promise<DemotionCandidate[]> {
    const sample = await this.#sample(targetTier)
    const victims = this.#policy.chooseVictims(sample, DEMOTION_BATCH_BYTES)
    const chosen = new Set(victims)
    const staying = sample.filter((each) => !chosen.has(each))
    // Where reads to come are counted, those that were have to stay what they are.
    if (this.#job.readsPerObject === null) this.#age(staying)
    const gains = staying.map(({ gain }) => gain).sort((a, b) => a - b)
    this.#medianGain = gains[gains.length >> 1] ?? 0
    return victims.map(({ candidate: leaver }) => leaver)
  }

  #age(staying: readonly Sampled[]): void {
    for (let at = this.#samples++ % SAMPLED_PER_VICTIM; at < staying.length; at += SAMPLED_PER_VICTIM)
      staying[at]?.candidate.age()
  }

  /** Whether something on a lower tier that was read so often is worth more than what there usually is here. */
  isWorthPromoting({ tier, bytes, reads }: { tier: number; bytes: number; reads: number }): boolean {
    const { readsPerObject } = this.#job
    // What was put counts as read once more than it was, see `frequencyOf`; the hit itself has been counted.
    const frequency = readsPerObject === null ? reads : frequencyOf(reads, readsPerObject)
    return gainOf({ frequency, bytes, costMs: costOf(tier, bytes) }) > this.#medianGain
  }

  /** From where the last sample ended: a part of what is here, or, where there is little, all of it once. */
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
            candidate: candidate,
          })
        })
        if (this.#hash === 0) slots++
        if (found.length >= DEMOTION_SAMPLE) break
      }
    }
    return found
  }

  /** One step through a slot. Returns about how many cells were looked at. */
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

/** What a read costs more, in ms, where the bytes are on that tier and not in RAM. */
function costOf(tier: number, bytes: number): number {
  const name = tiers[tier]
  return name === undefined ? 0 : readCostMs(name, bytes)
}
