import { isError } from '../../protocol/errors.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { NodeJob } from '../job/job.ts'
import { RAM } from '../tiers/job-tiers.ts'
import { DEMOTION_PAUSE_MS, TIER_FAILURE_PAUSE_MS } from '../tiers/limits.ts'
import type { DemotionCandidate } from './candidate.ts'
import { frequencyOf } from './gdsf.ts'
import { VictimSampler } from './victim-sampler.ts'

interface State {
  /** From the highest tier to the lowest. */
  readonly samplers: readonly VictimSampler[]
  /** Told after each round whether it made room. */
  waiting: ((madeRoom: boolean) => void)[]
}

/**
 * Moves objects of a job to the next lower tier: from the high watermark down to the low one, or while a put
 * waits for room. `Gdsf` picks the least valuable. Each tier runs its own loop, so that a slow tier does not
 * block those above it.
 */
export class Demoter {
  readonly #clock: Clock
  readonly #background: Background
  readonly #states = new WeakMap<NodeJob, State>()

  constructor(clock: Clock, background: Background) {
    this.#clock = clock
    this.#background = background
  }

  /** Starts every tier above its high watermark that is not running yet. */
  start(job: NodeJob): void {
    const state = this.#stateOf(job)
    for (const sampler of state.samplers) if (isDue(job, state, sampler)) this.#startTier(job, state, sampler)
  }

  /** Resolves after objects have left RAM, or with false if none can. */
  makeRoom(job: NodeJob): Promise<boolean> {
    if (!job.spills) return Promise.resolve(false)
    const state = this.#stateOf(job)
    return new Promise((resolve) => {
      state.waiting.push(resolve)
      this.start(job)
      if (!isRunning(state)) tellAll(state, false)
    })
  }

  /**
   * Whether a hit on a lower tier should be promoted: it is worth it, and RAM has room. If only room is
   * missing, demotion starts so that later hits find some.
   */
  promotes(job: NodeJob, hit: { tier: number; bytes: number; reads: number }): boolean {
    if (frequencyOf(hit.reads, job.readsPerObject) === 0) return false
    if (!job.isOverLow) return job.hasSpare(hit.bytes)
    const state = this.#stateOf(job)
    const [ram] = state.samplers
    if (ram?.isWorthPromoting(hit) !== true) return false
    if (job.hasSpare(hit.bytes)) return true
    this.#startTier(job, state, ram)
    return false
  }

  /** Unless it is running or paused. */
  #startTier(job: NodeJob, state: State, sampler: VictimSampler): void {
    if (sampler.running || sampler.isPaused) return
    sampler.running = true
    void this.#run(job, state, sampler)
  }

  /** Never rejects. */
  async #run(job: NodeJob, state: State, sampler: VictimSampler): Promise<void> {
    // Deferred by one tick: `charge()` may run in the middle of a mutation.
    await sleep(this.#clock, 0)
    let left: number
    do {
      left = job.ended ? 0 : await this.#tryRound(job, sampler)
      if (left > 0) this.#progressed(job, state, sampler)
    } while (left > 0 && isWanted(job, state, sampler))
    if (left === 0) sampler.pauseFor(DEMOTION_PAUSE_MS)
    sampler.running = false
    if (!isRunning(state)) tellAll(state, false)
  }

  /** Objects have left a tier: retries the tiers above it, and starts the one below if it is too full. */
  #progressed(job: NodeJob, state: State, { tier }: VictimSampler): void {
    for (const source of state.samplers) if (source.tier < tier) source.pausedUntilMs = 0
    this.start(job)
    tellAll(state, true)
  }

  async #tryRound(job: NodeJob, sampler: VictimSampler): Promise<number> {
    try {
      return await this.#round(job, sampler)
    } catch (error) {
      this.#failed(job, sampler, error)
      return 0
    }
  }

  /** The tier takes no bytes for now. */
  #failed(job: NodeJob, sampler: VictimSampler, error: unknown): void {
    sampler.pauseFor(TIER_FAILURE_PAUSE_MS)
    if (!job.ended) this.#background.failed(['demotion', job.id], error)
  }

  /** Returns how many objects left. */
  async #round(job: NodeJob, sampler: VictimSampler): Promise<number> {
    const target = job.tiers.nextLower(sampler.tier)
    if (target === null) return 0
    const victims = await sampler.chooseVictims(target)
    const counters = job.counters.on(sampler.tier)
    const left = await Promise.all(
      victims.map(async (candidate) => {
        const { bytes } = candidate
        if (!job.tiers.admits(target, bytes)) return false
        const hasLeft = await this.#demote(job, sampler, { leaver: candidate, to: target })
        if (hasLeft) {
          this.#background.succeeded(['demotion', job.id])
          counters.demotedObjects++
          counters.demotedBytes += bytes
        } else counters.droppedMoves++
        return hasLeft
      }),
    )
    return left.filter((hasLeft) => hasLeft).length
  }

  /**
   * The bytes stay in place until the lower tier has all of them. An object that changed meanwhile keeps its
   * location.
   */
  async #demote(
    job: NodeJob,
    sampler: VictimSampler,
    { leaver: candidate, to: target }: { leaver: DemotionCandidate; to: number },
  ): Promise<boolean> {
    const { bytes } = candidate
    job.tiers.charge(target, bytes)
    let isBooked = true
    const bookOff = (): void => {
      if (isBooked) job.tiers.charge(target, -bytes)
      isBooked = false
    }
    const content = candidate.take()
    try {
      const location = await job.tiers.write(
        target,
        content.bytes instanceof Promise ? await content.bytes : content.bytes,
      )
      content.release()
      bookOff()
      const hasLeft = candidate.commit(location)
      if (!hasLeft) job.tiers.remove(location)
      return hasLeft
    } catch (error) {
      content.release()
      bookOff()
      // Keeps an entry whose record the tier has lost, so that readers get `OBJECT_LOST`.
      if (isError(error, 'OBJECT_LOST')) return false
      this.#failed(job, sampler, error)
      return false
    }
  }

  #stateOf(job: NodeJob): State {
    let state = this.#states.get(job)
    if (state === undefined) {
      const numbers = [RAM, ...[...job.tiers.used()].map(({ tier }) => tier)]
      state = { samplers: numbers.map((tier) => new VictimSampler(job, tier, this.#clock)), waiting: [] }
      this.#states.set(job, state)
    }
    return state
  }
}

/** Whether demotion from the tier has to start. */
function isDue(job: NodeJob, state: State, { tier }: VictimSampler): boolean {
  const isWaitedFor = state.waiting.length > 0
  if (tier === RAM) return job.isOverHigh || isWaitedFor
  return job.tiers.isOverHigh(tier) || (isWaitedFor && job.tiers.isOverLow(tier))
}

/** Whether demotion from the tier goes on. */
function isWanted(job: NodeJob, state: State, { tier }: VictimSampler): boolean {
  return tier === RAM ? job.isOverLow || state.waiting.length > 0 : job.tiers.isOverLow(tier)
}

function isRunning({ samplers: sources }: State): boolean {
  return sources.some(({ running }) => running)
}

function tellAll(state: State, madeRoom: boolean): void {
  const { waiting } = state
  state.waiting = []
  for (const tell of waiting) tell(madeRoom)
}
