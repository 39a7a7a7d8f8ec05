import { createHash } from 'node:crypto'
import { MayflyError } from '../protocol/errors.ts'
import { NODE_START_MS_MAX, REGISTRATIONS_UNDER_WAY_MAX } from '../protocol/limits.ts'
import type { Admission, Refusal } from './admission.ts'
import { noPeak } from './history.ts'
import { newJobId } from './id.ts'
import type { Job } from './job.ts'
import type { Jobs, JobsOptions } from './jobs.ts'
import type { Placer } from './placer.ts'
import type { Hints } from './rightsizing.ts'
import { placedJob } from './shares.ts'
import { Waiting } from './waiting.ts'

export interface Registration {
  readonly name: string
  readonly hints: Hints
  readonly leaseSeconds: number
}

/** How a registration is to be carried out. */
export interface RegisterBy {
  /** Name of the API key. */
  readonly owner: string
  readonly key: string | null
  /** How long it may wait for room. */
  readonly waitSeconds: number
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal
}

export interface RegistrationsOptions extends JobsOptions {
  readonly jobs: Jobs
  readonly placer: Placer
  readonly admission: Admission
  readonly stopped: AbortSignal
}

/** A job that has its reservation, and when it will be active. */
interface Admitted {
  readonly registered: Promise<Job>
}

/** Turns requests into active jobs. */
export class Registrations {
  readonly #options: RegistrationsOptions
  readonly #waiting: Waiting<Admitted>
  /** Of each key that a registration under way has, what it registers. */
  readonly #keyed = new Map<string, { readonly bodyHash: string; readonly registered: Promise<Job> }>()
  #underWay = 0

  constructor(options: RegistrationsOptions) {
    this.#options = options
    this.#waiting = new Waiting(options.runtime.clock)
    options.stopped.addEventListener('abort', () => {
      this.#waiting.close(new MayflyError('UNAVAILABLE', 'The controller is stopping'))
    })
  }

  /** How many have not been answered yet, those that wait for room among them. */
  get underWay(): number {
    return this.#underWay
  }

  /** How many wait for room. */
  get waiting(): number {
    return this.#waiting.count
  }

  /** Something may have become free. */
  review(): void {
    this.#waiting.review()
  }

  /**
   * Resolves with the active job once its capacity is there. The same `key` with the same request gives the same
   * job. Throws `RESERVATION_REFUSED`, `TOO_MANY_REQUESTS`, or `UNAVAILABLE` if nodes or metadata did not come up in time.
   */
  async register(request: Registration, by: RegisterBy): Promise<Job> {
    const { ledger, jobs } = this.#options
    const { key } = by
    if (key === null) return await this.#counted(() => this.#register(request, by))
    const bodyHash = hashOf(request)
    const known = this.#keyed.get(key) ?? ledger.keyed(key)
    if (known !== undefined) {
      if (known.bodyHash !== bodyHash) throw otherBody()
      return 'registered' in known ? await known.registered : jobs.requireLiving(known.job)
    }
    const registered = this.#counted(() => this.#register(request, by))
    this.#keyed.set(key, { bodyHash, registered })
    return await registered.finally(() => this.#keyed.delete(key))
  }

  /** Undoes a registration: the reservation is free once metadata has forgotten the job. */
  async giveUp(id: string): Promise<void> {
    const { ledger, jobs } = this.#options
    await ledger.change(id, { state: 'ending', endReason: 'failed' })
    await ledger.releaseKey(id)
    jobs.endInBackground(id, 'failed')
  }

  async #counted(task: () => Promise<Job>): Promise<Job> {
    if (this.#underWay >= REGISTRATIONS_UNDER_WAY_MAX) {
      throw new MayflyError('TOO_MANY_REQUESTS', `${this.#underWay} registrations are under way or wait`)
    }
    this.#underWay++
    try {
      return await task()
    } finally {
      this.#underWay--
    }
  }

  async #register(request: Registration, by: RegisterBy): Promise<Job> {
    const { admission, size } = this.#options
    const { demand } = size(request.name, request.hints)
    admission.requirePossible(by.owner, demand)
    const server = await this.#chooseServer()
    const { registered } = await this.#waiting.enter({
      owner: by.owner,
      waitMs: by.waitSeconds * 1000,
      // Whoever named a key is likely to ask again for what it began.
      signal: by.key === null ? by.signal : this.#options.stopped,
      try: () => this.#try(request, by, server),
    })
    return await registered
  }

  #chooseServer(): Promise<string> {
    const { ledger, metadata, runtime } = this.#options
    return metadata.choose(() => ledger.living(), runtime.clock.monotonicMs() + NODE_START_MS_MAX)
  }

  /** What is admitted is in the ledger when this returns. */
  #try(request: Registration, { owner, key }: RegisterBy, metadata: string): { done: Admitted } | Refusal {
    const { ledger, admission, runtime, size, serial } = this.#options
    const { demand, reasons } = size(request.name, request.hints)
    const shares = admission.admit(owner, demand)
    if ('error' in shares) return shares
    const nowMs = runtime.clock.wallMs()
    const job: Job = {
      id: newJobId(runtime.random),
      ...request,
      owner,
      state: 'registering',
      demand,
      reasons,
      shares,
      metadata,
      movingTo: null,
      formerServers: [],
      createdAtMs: nowMs,
      usedAtMs: nowMs,
      peak: noPeak,
      endedAtMs: null,
      endReason: null,
    }
    const created = ledger.create(job, key === null ? null : { key, bodyHash: hashOf(request), job: job.id })
    return { done: { registered: serial.run(job.id, async () => this.#bringUp(await created)) } }
  }

  async #bringUp(job: Job): Promise<Job> {
    const { ledger, nodes, placer, metadata, tickets, events, runtime } = this.#options
    const { id, name } = job
    const deadlineMs = runtime.clock.monotonicMs() + NODE_START_MS_MAX
    events.emit('job.registering', { job: id, name })
    try {
      const secured = await placer.secure(id, deadlineMs)
      const placed = placedJob(job, secured.shares, nodes)
      const placement = await metadata.ask(job.metadata, deadlineMs, (client, address) =>
        client.createJob(address, placed),
      )
      tickets.note(id, placement)
      ledger.touch(id, runtime.clock.monotonicMs())
      const active = await ledger.change(id, { state: 'active' })
      events.emit('job.active', { job: id, name })
      return active
    } catch (error) {
      const { background } = this.#options
      if (!(await background.attempt(['rollBack', id], () => this.giveUp(id))))
        void background.persist(['rollBack', id], () => this.giveUp(id))
      throw error
    }
  }
}

function otherBody(): MayflyError {
  return new MayflyError('BAD_REQUEST', 'Idempotency-Key: it was used for a registration with another body')
}

/** The same for the same request, in whichever order its fields came. */
function hashOf({ name, hints, leaseSeconds }: Registration): string {
  const sorted = Object.entries(hints).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([name, sorted, leaseSeconds]))
    .digest('hex')
}
