import { createHash } from 'node:crypto'
import { MayflyError } from '../../protocol/errors.ts'
import { PostponedError } from '../errors.ts'
import { REGISTRATION_CLAIM_MS, REGISTRATIONS_OF_KEY_MAX, REGISTRATIONS_UNDER_WAY_MAX } from '../limits.ts'
import type { Placer } from '../placement/placer.ts'
import { placedJob } from '../placement/shares.ts'
import { newJobId } from '../records/id.ts'
import { type Job, scopeOf } from '../records/job.ts'
import type { Hints } from '../sizing/rightsizing.ts'
import { noPeak } from '../sizing/run-stats.ts'
import type { Admission, Refusal } from './admission.ts'
import { AdmissionQueue } from './admission-queue.ts'
import { Allowance } from './allowance.ts'
import { Claim } from './claim.ts'
import type { JobLifecycle, JobLifecycleOptions } from './job-lifecycle.ts'

export interface Registration {
  readonly name: string
  readonly hints: Hints
  readonly leaseSeconds: number
}

/** Options of a registration. */
export interface RegisterOptions {
  /** Name of the API key. */
  readonly owner: string
  readonly key: string | null
  /** How long it may wait for capacity. */
  readonly waitSeconds: number
  /** Aborted when the caller disconnects. */
  readonly signal: AbortSignal
}

export interface RegistrationsOptions extends JobLifecycleOptions {
  readonly jobs: JobLifecycle
  readonly placer: Placer
  readonly admission: Admission
  readonly stopped: AbortSignal
}

/** A registration under way with an idempotency key. */
interface Keyed {
  readonly bodyHash: string
  readonly registered: Promise<Job>
  readonly claim: Claim
}

/** A job that has its reservation and becomes active later. */
interface Admitted {
  readonly registered: Promise<Job>
}

/** Turns registration requests into active jobs. */
export class Registrations {
  readonly #options: RegistrationsOptions
  readonly #waiting: AdmissionQueue<Admitted>
  /** Registrations under way, by owner and idempotency key. */
  readonly #keyed = new Map<string, Keyed>()
  /** Claims of jobs whose answer no caller has received yet. */
  readonly #claims = new Map<string, Claim>()
  readonly #allowance = new Allowance('registrations that are under way or wait', {
    max: REGISTRATIONS_UNDER_WAY_MAX,
    ownerMax: REGISTRATIONS_OF_KEY_MAX,
  })

  constructor(options: RegistrationsOptions) {
    this.#options = options
    this.#waiting = new AdmissionQueue(options.runtime.clock)
    options.stopped.addEventListener('abort', () => {
      this.#waiting.close(new MayflyError('UNAVAILABLE', 'The controller is stopping'))
    })
  }

  /** Number of unanswered registrations, including those that wait for capacity. */
  get underWay(): number {
    return this.#allowance.total
  }

  /** Number of registrations that wait for capacity. */
  get waiting(): number {
    return this.#waiting.count
  }

  /** Retries the waiting registrations after capacity was freed. */
  retryWaiting(): void {
    this.#waiting.retry()
  }

  /**
   * Resolves with the active job once its capacity is ready. The same `key` of an owner with the same request returns the same job. If no
   * caller receives the answer and none asks again, the job ends. Throws `RESERVATION_REFUSED`, `TOO_MANY_REQUESTS`, or `UNAVAILABLE` if
   * nodes or metadata were not ready in time.
   */
  async register(request: Registration, by: RegisterOptions): Promise<Job> {
    const { ledger, runtime } = this.#options
    const { owner, key, signal } = by
    if (key === null) {
      const claim = new Claim(runtime.clock, 0)
      return await this.#answer(claim, signal, () => this.#begin(request, by, claim))
    }
    const bodyHash = hashOf(request)
    const scope = `${owner}/${key}`
    const underWay = this.#keyed.get(scope)
    const known = underWay ?? ledger.keyed({ owner, key })
    if (known !== undefined && known.bodyHash !== bodyHash) throw otherBody()
    if (underWay !== undefined) return await this.#answer(underWay.claim, signal, () => underWay.registered)
    if (known !== undefined && 'job' in known) {
      const claim = this.#claims.get(known.job)
      const job = async (): Promise<Job> => this.#requireRegistered(known.job)
      return claim === undefined ? await job() : await this.#answer(claim, signal, job)
    }
    const claim = new Claim(runtime.clock, REGISTRATION_CLAIM_MS)
    return await this.#answer(claim, signal, () => {
      const registered = this.#begin(request, by, claim).finally(() => this.#keyed.delete(scope))
      this.#keyed.set(scope, { bodyHash, registered, claim })
      return registered
    })
  }

  /** Waits for a job on behalf of a caller, and notes whether the caller received it. */
  async #answer(claim: Claim, signal: AbortSignal, registered: () => Promise<Job>): Promise<Job> {
    const leave = claim.attach(signal)
    try {
      const job = await registered()
      if (!signal.aborted) this.#claims.delete(job.id)
      return job
    } finally {
      leave(!signal.aborted)
    }
  }

  /** Registers a job, and ends it if the registration is given up. */
  async #begin(request: Registration, by: RegisterOptions, claim: Claim): Promise<Job> {
    const leave = this.#allowance.enter(by.owner)
    try {
      const job = await this.#register(request, by, claim)
      if (claim.gaveUp.aborted) this.#abandon(job.id)
      else {
        this.#claims.set(job.id, claim)
        claim.gaveUp.addEventListener('abort', () => this.#abandon(job.id))
      }
      return job
    } finally {
      leave()
    }
  }

  /** Throws `UNAVAILABLE` while the registration is rolled back, after which its key is free, and `JOB_ENDED`. */
  #requireRegistered(id: string): Job {
    const { ledger, jobs } = this.#options
    const { state, endReason } = ledger.require(id)
    if (state === 'registering' || (state === 'ending' && endReason === 'failed'))
      throw new PostponedError(`The registration of job ${id} was cut off and is being rolled back`)
    return jobs.requireLiving(id)
  }

  /** Ends a job whose answer nobody has received. Its key is freed first: who asks again gets another job. */
  #abandon(id: string): void {
    const { background, ledger, jobs } = this.#options
    this.#claims.delete(id)
    void background.persist(['rollBack', id], () => ledger.releaseKey(id))
    jobs.endInBackground(id, 'failed')
  }

  /** Undoes a registration. The reservation is freed once metadata has ended the job. */
  async rollBack(id: string): Promise<void> {
    const { ledger, jobs } = this.#options
    await ledger.change(id, { state: 'ending', endReason: 'failed' })
    await ledger.releaseKey(id)
    jobs.endInBackground(id, 'failed')
  }

  async #register(request: Registration, by: RegisterOptions, { gaveUp }: Claim): Promise<Job> {
    const { admission, size } = this.#options
    if (admission.withoutNodes() === null)
      admission.requirePossible(by.owner, size(scopeOf({ ...request, ...by }), request.hints).demand)
    const server = await this.#chooseServer()
    const { registered } = await this.#waiting.enter({
      owner: by.owner,
      waitMs: by.waitSeconds * 1000,
      signal: gaveUp,
      try: () => this.#try(request, by, server),
    })
    return await registered
  }

  #chooseServer(): Promise<string> {
    const { ledger, metadata, runtime, fleetCapacity } = this.#options
    const jobsOn = (server: string): number => ledger.livingOn(server)
    return metadata.choose(jobsOn, runtime.clock.monotonicMs() + fleetCapacity.waitMsMax)
  }

  /** The admitted job is in the ledger when this returns. */
  #try(
    request: Registration,
    { owner, key }: RegisterOptions,
    metadata: string,
  ): { done: Admitted } | Refusal {
    const { ledger, admission, runtime, size, serial } = this.#options
    const refusal = admission.withoutNodes()
    if (refusal !== null) return refusal
    const { demand, reasons } = size(scopeOf({ owner, name: request.name }), request.hints)
    const shares = admission.admit(owner, demand)
    if ('error' in shares) return shares
    const nowMs = runtime.clock.wallMs()
    const job: Job = {
      id: newJobId(runtime.random, owner),
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
    const created = ledger.create(
      job,
      key === null ? null : { owner, key, bodyHash: hashOf(request), job: job.id },
    )
    return { done: { registered: serial.run(job.id, async () => this.#bringUp(await created)) } }
  }

  async #bringUp(job: Job): Promise<Job> {
    const { ledger, nodes, placer, metadata, tickets, events, runtime, log, fleetCapacity } = this.#options
    const { id, name } = job
    const deadlineMs = runtime.clock.monotonicMs() + fleetCapacity.waitMsMax
    events.emit('job.registering', { job: id, name })
    try {
      const secured = await placer.awaitServing(id, deadlineMs)
      const placed = placedJob(job, secured.shares, nodes)
      const placement = await metadata.ask(job.metadata, deadlineMs, (client, address) =>
        client.createJob(address, placed),
      )
      tickets.cachePlacement(id, placement)
      ledger.touch(id, runtime.clock.monotonicMs())
      const active = await ledger.change(id, { state: 'active' })
      events.emit('job.active', { job: id, name })
      const on = active.shares.map(({ node }) => node)
      log.info({ job: id, jobName: name, owner: job.owner, nodes: on }, 'a job is registered')
      return active
    } catch (error) {
      const { background } = this.#options
      if (!(await background.attempt(['rollBack', id], () => this.rollBack(id))))
        void background.persist(['rollBack', id], () => this.rollBack(id))
      throw error
    }
  }
}

function otherBody(): MayflyError {
  return new MayflyError('BAD_REQUEST', 'Idempotency-Key: it was used for a registration with another body')
}

/** Independent of the order of the fields. */
function hashOf({ name, hints, leaseSeconds }: Registration): string {
  const sorted = Object.entries(hints).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([name, sorted, leaseSeconds]))
    .digest('hex')
}
