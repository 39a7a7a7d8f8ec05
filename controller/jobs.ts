import { createHash } from 'node:crypto'
import { MayflyError } from '../protocol/errors.ts'
import { CONTROL_CALL_MS, JOBS_MAX, NODE_START_MS_MAX } from '../protocol/limits.ts'
import { type Runtime, sleep } from '../protocol/runtime.ts'
import type { Logger } from '../service/log.ts'
import type { Serial } from '../service/serial.ts'
import type { Events } from './events.ts'
import { newJobId } from './id.ts'
import { type EndReason, type Job, maxShares } from './job.ts'
import type { Ledger } from './ledger.ts'
import { isGone, type MetadataServers } from './metadata-servers.ts'
import type { Nodes } from './nodes.ts'
import type { Placer } from './placer.ts'
import { type Hints, rightsize, type Sizing } from './rightsizing.ts'
import { placedShares } from './shares.ts'
import type { IdempotencyKey } from './store/store.ts'
import type { Tickets } from './tickets.ts'

export interface Registration {
  readonly name: string
  readonly hints: Hints
  readonly leaseSeconds: number
}

export interface JobsOptions {
  readonly runtime: Runtime
  readonly ledger: Ledger
  readonly nodes: Nodes
  readonly placer: Placer
  readonly metadata: MetadataServers
  readonly tickets: Tickets
  readonly events: Events
  readonly log: Logger
  /** Changes of one job come one after another. */
  readonly serial: Serial
  readonly sizing: Sizing
  /** Called when a reservation was given back. */
  readonly onFreed: () => void
  /** Called when metadata may have other shares of a job than the ledger. */
  readonly onUnsure: (job: string) => void
}

/** The life of jobs: registered, resized, renewed, ended. */
export class Jobs {
  readonly #options: JobsOptions
  readonly #registering = new Map<string, Promise<Job>>()
  readonly #ending = new Map<string, Promise<Job>>()
  readonly #resizing = new Set<Promise<Job>>()

  constructor(options: JobsOptions) {
    this.#options = options
  }

  /**
   * Resolves with the active job once its capacity is there. The same `key` with the same request gives the same
   * job. Throws `RESERVATION_REFUSED`, or `UNAVAILABLE` if nodes or metadata did not come up in time.
   */
  async register(request: Registration, key: string | null): Promise<Job> {
    const { ledger, metadata, runtime } = this.#options
    const deadlineMs = runtime.clock.monotonicMs() + NODE_START_MS_MAX
    const jobsOf = (server: string): number => ledger.living().filter((job) => job.metadata === server).length
    const server = await metadata.choose(jobsOf, deadlineMs)
    const bodyHash = hashOf(request)
    const known = key === null ? undefined : ledger.keyed(key)
    if (known !== undefined) return this.#repeat(known, bodyHash)
    const job = this.#admit(request, server)
    const created = ledger.create(job, key === null ? null : { key, bodyHash, job: job.id })
    const registered = this.#options.serial.run(job.id, async () => this.#bringUp(await created, deadlineMs))
    this.#registering.set(job.id, registered)
    try {
      return await registered
    } finally {
      this.#registering.delete(job.id)
    }
  }

  /** Grows or shrinks what is reserved. If it does not fit, everything stays as it was. */
  async resize(id: string, hints: Hints): Promise<Job> {
    this.#requireLiving(id)
    const resize = this.#options.serial.run(id, () => {
      const resizing = this.#resize(this.#requireLiving(id), hints).finally(() =>
        this.#resizing.delete(resizing),
      )
      this.#resizing.add(resizing)
      return resizing
    })
    return await resize
  }

  /**
   * Resolves once the resizes that are under way are over: what they have reserved, metadata may not know yet. Rejects
   * with `UNAVAILABLE` if others have begun meanwhile.
   */
  async resized(): Promise<void> {
    await Promise.allSettled(this.#resizing)
    if (this.#resizing.size > 0) throw new MayflyError('UNAVAILABLE', 'Jobs are being resized at this moment')
  }

  /** The job's lease counts from now. */
  async renew(id: string): Promise<Job> {
    this.#requireLiving(id)
    this.#options.ledger.touch(id, this.#options.runtime.clock.monotonicMs())
    return await this.#options.ledger.change(id, {})
  }

  /** Resolves with the ended job once its bytes are freed; goes on trying until metadata can be reached. */
  async end(id: string, reason: EndReason): Promise<Job> {
    const job = this.#options.ledger.require(id)
    if (job.state === 'ended') return job
    const underWay = this.#ending.get(id)
    if (underWay !== undefined) return await underWay
    const ending = this.#options.serial
      .run(id, () => this.#end(id, reason))
      .finally(() => this.#ending.delete(id))
    this.#ending.set(id, ending)
    return await ending
  }

  /** As `end`, for one who waits: rejects with `UNAVAILABLE` after `CONTROL_CALL_MS` and goes on in the background. */
  async endSoon(id: string, reason: EndReason): Promise<Job> {
    const { clock } = this.#options.runtime
    const ended = await Promise.race([this.end(id, reason), sleep(clock, CONTROL_CALL_MS).then(() => null)])
    if (ended !== null) return ended
    throw new MayflyError('UNAVAILABLE', `Job ${id} is ending, but its metadata server does not answer`)
  }

  /** As `end`, for nobody who waits. What fails is tried again by the next upkeep. */
  endInBackground(id: string, reason: EndReason): void {
    if (this.#ending.has(id)) return
    this.end(id, reason).catch((err: unknown) => {
      this.#options.log.warn({ err, job: id }, 'a job could not be ended yet')
    })
  }

  #admit(request: Registration, metadata: string): Job {
    const { ledger, placer, runtime, sizing } = this.#options
    if (ledger.living().length >= JOBS_MAX) {
      throw new MayflyError(
        'RESERVATION_REFUSED',
        `${JOBS_MAX} jobs live already, as many as a cluster may have`,
      )
    }
    const demand = rightsize(request.hints, sizing)
    const nowMs = runtime.clock.wallMs()
    return {
      id: newJobId(runtime.random),
      ...request,
      state: 'registering',
      demand,
      shares: placer.find(demand),
      metadata,
      createdAtMs: nowMs,
      usedAtMs: nowMs,
      endedAtMs: null,
      endReason: null,
    }
  }

  async #bringUp(job: Job, deadlineMs: number): Promise<Job> {
    const { ledger, nodes, placer, metadata, tickets, events, runtime } = this.#options
    const { id, name } = job
    events.emit('job.registering', { job: id, name })
    try {
      const secured = await placer.secure(id, deadlineMs)
      const shares = placedShares(secured.shares, nodes)
      const placement = await metadata.ask(job.metadata, deadlineMs, (client, address) =>
        client.createJob(address, { id, shares }),
      )
      tickets.note(id, placement)
      ledger.touch(id, runtime.clock.monotonicMs())
      const active = await ledger.change(id, { state: 'active' })
      events.emit('job.active', { job: id, name })
      return active
    } catch (error) {
      await this.giveUp(id)
      throw error
    }
  }

  /** Undoes a registration: the reservation is free once metadata has forgotten the job. */
  async giveUp(id: string): Promise<void> {
    const { ledger } = this.#options
    await ledger.change(id, { state: 'ending', endReason: 'failed' })
    await ledger.releaseKey(id)
    this.endInBackground(id, 'failed')
  }

  async #repeat(known: IdempotencyKey, bodyHash: string): Promise<Job> {
    if (known.bodyHash !== bodyHash) {
      throw new MayflyError(
        'BAD_REQUEST',
        'Idempotency-Key: it was used for a registration with another body',
      )
    }
    await this.#registering.get(known.job)
    return this.#requireLiving(known.job)
  }

  async #resize(job: Job, added: Hints): Promise<Job> {
    const { ledger, nodes, placer, metadata, tickets, events, runtime } = this.#options
    const { id } = job
    const hints = { ...job.hints, ...added }
    const demand = rightsize(hints, this.#options.sizing)
    const shares = placer.resize(job, demand)
    // Until the nodes have heard of it, the larger of both counts: what shrinks is not given away too early.
    await ledger.change(id, { shares: maxShares(job.shares, shares) })
    try {
      const deadlineMs = runtime.clock.monotonicMs() + NODE_START_MS_MAX
      await nodes.settled(
        shares.map(({ node }) => node),
        deadlineMs,
      )
      const placed = placedShares(shares, nodes)
      const placement = await metadata.ask(job.metadata, deadlineMs, (client, address) =>
        client.shareJob(address, { id, shares: placed }),
      )
      tickets.note(id, placement)
    } catch (error) {
      await ledger.change(id, { shares: job.shares })
      // Metadata may have heard of it all the same.
      this.#options.onUnsure(id)
      throw error
    }
    const resized = await ledger.change(id, { hints, demand, shares })
    events.emit('job.resized', { job: id, hints })
    return resized
  }

  async #end(id: string, reason: EndReason): Promise<Job> {
    const { ledger, metadata, tickets, events, runtime, onFreed } = this.#options
    const job = ledger.require(id)
    if (job.state === 'ended') return job
    if (job.state !== 'ending') await ledger.change(id, { state: 'ending', endReason: reason })
    await metadata
      .ask(job.metadata, Number.POSITIVE_INFINITY, (client, address) => client.endJob(address, id))
      .catch((error: unknown) => {
        if (!isGone(error)) throw error
      })
    tickets.forget(id)
    const ended = await ledger.change(id, { state: 'ended', shares: [], endedAtMs: runtime.clock.wallMs() })
    events.emit('job.ended', { job: id, name: job.name, reason: ended.endReason })
    onFreed()
    return ended
  }

  /** Throws `JOB_NOT_FOUND`, or `JOB_ENDED` if the job has ended or is about to. */
  #requireLiving(id: string): Job {
    const job = this.#options.ledger.require(id)
    if (job.state === 'ending' || job.state === 'ended' || this.#ending.has(id)) {
      throw new MayflyError('JOB_ENDED', `Job ${id} has ended`)
    }
    return job
  }
}

/** The same for the same request, in whichever order its fields came. */
function hashOf({ name, hints, leaseSeconds }: Registration): string {
  const sorted = Object.entries(hints).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([name, sorted, leaseSeconds]))
    .digest('hex')
}
