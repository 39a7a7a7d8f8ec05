import type { Job } from '../../../client/job.ts'
import { sleep } from '../../../protocol/runtime.ts'
import type { Cluster } from '../world/cluster.ts'
import type { PlacedJob } from '../world/control.ts'
import type { Host } from '../world/host.ts'
import type { SeededRandom } from '../world/random.ts'
import { type Bulk, isBulk, isStreamed, partsOf, performBulk } from './bulk.ts'
import type { Action, Call, History } from './history.ts'
import type { Mix } from './mix.ts'
import { openSimulated } from './open.ts'
import { perform, WrongBytes } from './perform.ts'
import { Twin } from './twin.ts'
import type { Home } from './values.ts'

/** Deadline of the longest bulk call, and of each message of a stream. */
const BULK_DEADLINE_MS_MAX = 2_500
/** The client checks deadlines every 20 ms. */
const DEADLINE_SLACK_MS = 100
/** The client measures by its own clock. */
const DRIFT_FACTOR = 1.03

export interface ClientOptions {
  readonly cluster: Cluster
  readonly jobs: ReadonlyMap<string, PlacedJob>
  readonly history: History
  readonly mix: Mix
  readonly random: SeededRandom
  readonly calls: number
  /** Pause between two calls of a lane. */
  readonly thinkMsMax: number
  /** Calls that it has under way. */
  readonly lanes: number
  readonly violate: (rule: string, what: string) => void
  /** Another process has the same memory, and may be restored. */
  readonly hasTwin?: boolean
  /** It continues from the memory of another client. */
  readonly restored?: { readonly host: Host; readonly jobs: Map<string, Job> }
}

/** A running function: it makes one call after another until all are made; if it crashes, another one continues. */
export class Client {
  readonly #options: ClientOptions
  host: Host
  done = false
  #jobs = new Map<string, Job>()
  #twin: Twin | null = null
  #left: number

  constructor(options: ClientOptions) {
    this.#options = options
    this.#left = options.calls
    const { cluster, hasTwin = false, restored } = options
    if (restored !== undefined) {
      this.host = restored.host
      this.#jobs = restored.jobs
    } else if (hasTwin) {
      const [original, host] = cluster.newTwins('client')
      this.host = original
      this.#twin = new Twin(cluster, { original, host })
    } else {
      this.host = cluster.newHost('client')
    }
  }

  /** The process with the same memory; null if there is none, or if it has diverged. */
  takeTwin(): Twin | null {
    const twin = this.#twin
    this.#twin = null
    return twin?.mirror.diverged === false ? twin : null
  }

  /** Starts, or continues in a new process. Never rejects and need not be awaited. */
  start(): void {
    if (!this.host.alive) {
      this.host = this.#options.cluster.newHost('client')
      this.#jobs = new Map()
      this.#twin = null
    }
    const { violate } = this.#options
    const lanes = Array.from({ length: this.#options.lanes }, () => this.#run())
    Promise.all(lanes).then(
      () => {
        this.done = true
      },
      (error: unknown) => violate('client bug', error instanceof Error ? (error.stack ?? '') : ''),
    )
  }

  /** Makes one call and records it. */
  async call(home: Home, action: Action, deadlineMs: number, signal?: AbortSignal): Promise<Call | null> {
    const { cluster, history, violate } = this.#options
    const job = this.#open(home.job)
    if (job === null) return null
    const { timeline } = cluster
    const { host } = this
    const call = history.begin({ client: host.id, home, action, deadlineMs, calledMs: timeline.nowMs })
    const pausedMs = host.pausedMs
    try {
      const performing = perform(job, { home, action, deadlineMs, ...(signal ? { signal } : {}) })
      this.#twin?.begin(call, signal)
      call.outcome = await performing
    } catch (error) {
      if (!(error instanceof WrongBytes)) throw error
      violate('foreign or damaged bytes', `${error.message}\n(call #${call.id})`)
      return call
    }
    call.returnedMs = timeline.nowMs
    call.aborted = signal?.aborted === true
    call.pausedMs = host.pausedMs - pausedMs
    timeline.trace(call.outcome.kind.length + call.id)
    this.#options.mix.learn(call)
    // A listing has a deadline for each page.
    const pages = action.kind === 'list' ? 20 : 1
    const tookMs = call.returnedMs - call.calledMs - call.pausedMs
    const waitMs = action.kind === 'get' ? action.waitSeconds * 1000 : 0
    if (tookMs > (deadlineMs * pages + waitMs) * DRIFT_FACTOR + DEADLINE_SLACK_MS) {
      violate(
        'a call outlived its deadline',
        `call #${call.id} took ${tookMs.toFixed(0)} of ${deadlineMs} ms`,
      )
    }
    return call
  }

  /** Makes a call about many keys, or of many messages, and records what it did to each key. */
  async #callBulk(id: string, bulk: Bulk, deadlineMs: number): Promise<void> {
    const { cluster, history, mix, violate } = this.#options
    const job = this.#open(id)
    if (job === null) return
    const { timeline } = cluster
    const { host } = this
    const calledMs = timeline.nowMs
    const pausedMs = host.pausedMs
    const calls = partsOf(bulk).map((part) =>
      history.begin({ client: host.id, ...part, deadlineMs, calledMs }),
    )
    let outcomes: Awaited<ReturnType<typeof performBulk>>
    try {
      outcomes = await performBulk(job, bulk, { clock: host.clock, deadlineMs })
    } catch (error) {
      if (!(error instanceof WrongBytes)) throw error
      return violate('foreign or damaged bytes', `${error.message}\n(a ${bulk.kind})`)
    }
    timeline.trace(calls.length)
    for (const [index, call] of calls.entries()) {
      call.outcome = outcomes[index] ?? call.outcome
      call.returnedMs = timeline.nowMs
      call.pausedMs = host.pausedMs - pausedMs
      mix.learn(call)
    }
    const tookMs = timeline.nowMs - calledMs - (host.pausedMs - pausedMs)
    const waitMs = bulk.kind === 'getMany' ? bulk.waitSeconds * 1000 : 0
    if (!isStreamed(bulk) && tookMs > (deadlineMs + waitMs) * DRIFT_FACTOR + DEADLINE_SLACK_MS)
      violate('a call outlived its deadline', `a ${bulk.kind} took ${tookMs.toFixed(0)} of ${deadlineMs} ms`)
  }

  async #run(): Promise<void> {
    const { mix, random } = this.#options
    while (this.#left > 0) {
      this.#left--
      await sleep(this.host.clock, random.between(0, this.#options.thinkMsMax))
      const { home, action } = mix.draw(random)
      const deadlineMs = 200 + random.below(random.chance(0.2) ? 8_000 : 2_500)
      const abortMs = random.chance(0.04) ? random.between(0, 40) : null
      if (isBulk(action)) {
        await this.#callBulk(home.job, action, Math.min(deadlineMs, BULK_DEADLINE_MS_MAX))
      } else if (abortMs === null) {
        await this.call(home, action, deadlineMs)
      } else {
        const controller = new AbortController()
        const timer = this.host.after(abortMs, () => controller.abort())
        await this.call(home, action, deadlineMs, controller.signal)
        timer.cancel()
      }
    }
  }

  /** Null while the job has no ticket yet. */
  #open(id: string): Job | null {
    const known = this.#jobs.get(id)
    if (known !== undefined) return known
    const { cluster, jobs } = this.#options
    const ticket = jobs.get(id)?.ticket
    if (!ticket) return null
    const job = openSimulated(
      this.host,
      ticket,
      this.#twin?.mirror.dial ?? cluster.network.of(this.host).dial,
    )
    this.#jobs.set(id, job)
    this.#twin?.open(id, ticket)
    return job
  }
}
