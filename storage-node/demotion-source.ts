import { tiers } from '../protocol/data-operations.ts'
import { type Clock, sleep } from '../protocol/runtime.ts'
import { type Candidate, frequencyOf, Gdsf, readCostMs } from './gdsf.ts'
import type { JobSpace } from './job-space.ts'
import { chunkLeavers, type Leaver, objectLeaver } from './leaver.ts'
import { isExpired, isManifest, isRemote, type StoredObject, tierOf } from './stored-object.ts'
import {
  DEMOTED_BYTES_MAX,
  DEMOTED_BYTES_MIN,
  DEMOTION_BATCH_BYTES,
  DEMOTION_SAMPLE,
  DEMOTION_SCAN_CELLS,
} from './tier-limits.ts'

/** Something on a tier that may leave it. */
interface Sampled extends Candidate {
  readonly leaver: Leaver
}

/** Cells of a table looked at in one step of a sample. */
const STEP_CELLS = 256

/**
 * What one job has on one tier, in the eyes of whoever chooses what leaves it. A record has no room for the clock at which it was
 * read last; instead, as in the CLOCK algorithm, whatever is looked at and stays loses half of its reads.
 */
export class DemotionSource {
  /** Its number. */
  readonly tier: number
  running = false
  /** Nothing is tried before. */
  idleUntilMs = 0
  readonly #job: JobSpace
  readonly #clock: Clock
  readonly #policy = new Gdsf()
  /** Where the next sample begins: a slot, and a hash in its table. */
  #slot = 0
  #hash = 0
  /** The last sample: what a hit below has to be worth more than to come back. */
  #lowest: readonly Candidate[] = []

  constructor(job: JobSpace, tier: number, clock: Clock) {
    this.#job = job
    this.tier = tier
    this.#clock = clock
  }

  get isIdle(): boolean {
    return this.#clock.monotonicMs() < this.idleUntilMs
  }

  rest(ms: number): void {
    this.idleUntilMs = Math.max(this.idleUntilMs, this.#clock.monotonicMs() + ms)
  }

  /** What is worth least, of a part of what is here, once it has left for tier `to`. */
  async chooseVictims(to: number): Promise<Leaver[]> {
    const sample = await this.#sample(to)
    const victims = this.#policy.chooseVictims(sample, DEMOTION_BATCH_BYTES)
    const chosen = new Set(victims)
    for (const each of sample) if (!chosen.has(each)) each.leaver.age()
    this.#lowest = sample.map(({ priority, bytes }) => ({ priority, bytes }))
    return victims.map(({ leaver }) => leaver)
  }

  /** Whether something on a lower tier that was read so often is worth more than what is worth least here. */
  belongs({ tier, bytes, reads }: { tier: number; bytes: number; reads: number }): boolean {
    return this.#policy.belongs({ frequency: reads, bytes, costMs: costOf(tier, bytes) }, this.#lowest)
  }

  /** From where the last sample ended: a part of what is here, or, where there is little, all of it once. */
  async #sample(to: number): Promise<Sampled[]> {
    const job = this.#job
    const found: Sampled[] = []
    for (let slots = 0; slots <= job.slots.length && found.length === 0 && !job.ended; ) {
      if (slots > 0) await sleep(this.#clock, 0)
      for (let cells = 0; cells < DEMOTION_SCAN_CELLS && slots <= job.slots.length; ) {
        cells += this.#look((leaver) => {
          const { bytes } = leaver
          const frequency = frequencyOf(leaver.reads, null)
          const priority = this.#policy.priorityOf({ frequency, bytes, costMs: costOf(to, bytes) })
          found.push({ priority, bytes, leaver })
        })
        if (this.#hash === 0) slots++
        if (found.length >= DEMOTION_SAMPLE) break
      }
    }
    return found
  }

  /** One step through a slot. Returns about how many cells were looked at. */
  #look(visit: (leaver: Leaver) => void): number {
    const job = this.#job
    const index = this.#slot % job.slots.length
    const slot = job.slots[index]
    const from = this.#hash
    this.#hash = 0
    this.#slot = index + 1
    if (slot === undefined) return 1
    const next = slot.objects.scan(from, STEP_CELLS, (object) => {
      if (this.#mayLeave(object)) visit(objectLeaver(job, { slot, index }, object))
    })
    if (next !== null) {
      this.#hash = next
      this.#slot = index
    }
    if (from === 0) for (const leaver of chunkLeavers(job, { slot, index }, this.tier)) visit(leaver)
    return Math.min(STEP_CELLS, 2 * slot.objects.size + 1)
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
