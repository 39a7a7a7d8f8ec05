import { tiers } from '../protocol/data-operations.ts'
import { isError } from '../protocol/errors.ts'
import {
  DEMOTED_BYTES_MAX,
  DEMOTED_BYTES_MIN,
  DEMOTION_BATCH_BYTES,
  DEMOTION_PAUSE_MS,
  DEMOTION_SAMPLE,
  DEMOTION_SCAN_CELLS,
  TIER_FAILURE_PAUSE_MS,
} from '../protocol/limits.ts'
import { type Clock, sleep } from '../protocol/runtime.ts'
import { type Candidate, frequencyOf, Gdsf, readCostMs } from './gdsf.ts'
import type { JobSpace } from './job-space.ts'
import { RAM } from './job-tiers.ts'
import { chunkLeaver, type Leaver, objectLeaver } from './leaver.ts'
import { isElsewhere, isExpired, isManifest, type StoredObject } from './stored-object.ts'

/** Something in RAM that may leave it. */
interface Sampled extends Candidate {
  readonly leaver: Leaver
}

interface State {
  readonly policy: Gdsf
  running: boolean
  /** Where the next sample begins: a slot, and a hash in its table. */
  slot: number
  hash: number
  /** Nothing is tried before. */
  idleUntilMs: number
  /** Told after each round whether it made room. */
  waiting: ((madeRoom: boolean) => void)[]
  /** The last sample: what a hit below has to be worth more than to come back. */
  lowest: readonly Candidate[]
}

/** Cells of a table looked at in one step of a sample. */
const STEP_CELLS = 256

/**
 * Lets objects of a job leave RAM for the tier below: from the high watermark on until it is below the low one, or while a put waits
 * for room. Those that are worth least go, see `Gdsf`. A record has no room for the clock at which it was read last; instead, as
 * in the CLOCK algorithm, whatever is looked at and stays loses half of its reads.
 */
export class Demotion {
  readonly #clock: Clock
  readonly #onFailure: (job: string, reason: Error) => void
  readonly #states = new WeakMap<JobSpace, State>()

  /** `onFailure` is told that a tier takes nothing for the moment. */
  constructor(clock: Clock, onFailure: (job: string, reason: Error) => void) {
    this.#clock = clock
    this.#onFailure = onFailure
  }

  /** The job is over its high watermark. What runs already is not begun again. */
  start(job: JobSpace): void {
    const state = this.#stateOf(job)
    if (state.running || this.#isIdle(state)) return
    state.running = true
    void this.#run(job, state)
  }

  /** Resolves after objects have left, or with false where none can. */
  makeRoom(job: JobSpace): Promise<boolean> {
    const state = this.#stateOf(job)
    if (!job.spills || (!state.running && this.#isIdle(state))) return Promise.resolve(false)
    return new Promise((resolve) => {
      state.waiting.push(resolve)
      this.start(job)
    })
  }

  /** Whether a hit on a lower tier pays for bringing its bytes back: they are `bytes`, and were read so often. */
  promotes(job: JobSpace, hit: { tier: number; bytes: number; reads: number }): boolean {
    const { bytes, reads } = hit
    if (!job.hasSpare(bytes)) return false
    if (!job.isOverLow) return true
    const { policy, lowest } = this.#stateOf(job)
    return policy.belongs({ frequency: reads, bytes, costMs: costOf(hit.tier, bytes) }, lowest)
  }

  async #run(job: JobSpace, state: State): Promise<void> {
    // Whoever has charged what is too much goes on first: it may be in the middle of a change.
    await sleep(this.#clock, 0)
    let freedBytes: number
    do {
      freedBytes = job.ended ? 0 : await this.#round(job, state)
      const { waiting } = state
      state.waiting = []
      for (const tell of waiting) tell(freedBytes > 0)
    } while (freedBytes > 0 && (job.isOverLow || state.waiting.length > 0))
    if (freedBytes === 0) this.#rest(state, DEMOTION_PAUSE_MS)
    state.running = false
  }

  /** Returns the bytes of RAM that became free. */
  async #round(job: JobSpace, state: State): Promise<number> {
    const to = job.tiers.below(RAM)
    if (to === null) return 0
    const sample = await this.#sample(job, state, to)
    const victims = state.policy.chooseVictims(sample, DEMOTION_BATCH_BYTES)
    const chosen = new Set(victims)
    for (const each of sample) if (!chosen.has(each)) each.leaver.age()
    state.lowest = sample.map(({ priority, bytes }) => ({ priority, bytes }))
    const freed = await Promise.all(victims.map(({ leaver }) => this.#demote(job, state, { leaver, to })))
    return freed.reduce((sum, bytes) => sum + bytes, 0)
  }

  /** Its bytes stay where they are until all of them are below, and what changed meanwhile stays as it is. */
  async #demote(
    job: JobSpace,
    state: State,
    { leaver, to }: { leaver: Leaver; to: number },
  ): Promise<number> {
    const { bytes } = leaver
    if (!job.tiers.admits(to, bytes)) return 0
    job.tiers.charge(to, bytes)
    const content = leaver.take()
    try {
      const location = await job.tiers.write(to, content.bytes)
      content.release()
      job.tiers.charge(to, -bytes)
      const usedBytes = job.usedBytes
      if (!leaver.leave(location)) job.tiers.remove(location)
      return Math.max(0, usedBytes - job.usedBytes)
    } catch (error) {
      content.release()
      job.tiers.charge(to, -bytes)
      if (!isError(error, 'CAPACITY_EXCEEDED', 'UNAVAILABLE', 'JOB_ENDED')) throw error
      if (!job.ended && !this.#isIdle(state)) this.#onFailure(job.id, error)
      this.#rest(state, TIER_FAILURE_PAUSE_MS)
      return 0
    }
  }

  /** Looks at what is in RAM, from where the last sample ended: for a part of it, or, where there is little, once around. */
  async #sample(job: JobSpace, state: State, to: number): Promise<Sampled[]> {
    const found: Sampled[] = []
    for (let slots = 0; slots <= job.slots.length && found.length === 0 && !job.ended; ) {
      if (slots > 0) await sleep(this.#clock, 0)
      for (let cells = 0; cells < DEMOTION_SCAN_CELLS && slots <= job.slots.length; ) {
        cells += this.#look(job, state, (leaver) => {
          const { bytes } = leaver
          const frequency = frequencyOf(leaver.reads, null)
          const priority = state.policy.priorityOf({ frequency, bytes, costMs: costOf(to, bytes) })
          found.push({ priority, bytes, leaver })
        })
        if (state.hash === 0) slots++
        if (found.length >= DEMOTION_SAMPLE) break
      }
    }
    return found
  }

  /** One step through a slot. Returns about how many cells were looked at. */
  #look(job: JobSpace, state: State, visit: (leaver: Leaver) => void): number {
    const index = state.slot % job.slots.length
    const slot = job.slots[index]
    const isFirst = state.hash === 0
    const from = state.hash
    state.hash = 0
    state.slot = index + 1
    if (slot === undefined) return 1
    const next = slot.objects.scan(from, STEP_CELLS, (object) => {
      if (mayLeave(object, job.wallMs)) visit(objectLeaver(job, { slot, index }, object))
    })
    if (next !== null) {
      state.hash = next
      state.slot = index
    }
    if (isFirst) for (const leaver of chunkLeaver(job, { slot, index })) visit(leaver)
    return Math.min(STEP_CELLS, 2 * slot.objects.size + 1)
  }

  #isIdle({ idleUntilMs }: State): boolean {
    return this.#clock.monotonicMs() < idleUntilMs
  }

  #rest(state: State, ms: number): void {
    state.idleUntilMs = Math.max(state.idleUntilMs, this.#clock.monotonicMs() + ms)
  }

  #stateOf(job: JobSpace): State {
    let state = this.#states.get(job)
    if (state === undefined) {
      state = {
        policy: new Gdsf(),
        running: false,
        slot: 0,
        hash: 0,
        idleUntilMs: 0,
        waiting: [],
        lowest: [],
      }
      this.#states.set(job, state)
    }
    return state
  }
}

function mayLeave(object: StoredObject, wallMs: number): boolean {
  const { bytes } = object
  if (isElsewhere(object) || isManifest(object) || isExpired(object, wallMs)) return false
  return bytes >= DEMOTED_BYTES_MIN && bytes <= DEMOTED_BYTES_MAX
}

/** What a read costs more, in ms, where the bytes are on that tier and not in RAM. */
function costOf(tier: number, bytes: number): number {
  const name = tiers[tier]
  return name === undefined ? 0 : readCostMs(name, bytes)
}
