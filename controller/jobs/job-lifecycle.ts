import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { type Runtime, within } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { KeyedMutex } from '../../service/process/locks.ts'
import type { Logger } from '../../service/process/log.ts'
import type { Events } from '../events/events.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { isGone, type MetadataServers } from '../metadata/servers.ts'
import type { FleetCapacity } from '../nodes/capacity.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import { placedJob } from '../placement/shares.ts'
import { decidersOf, type EndReason, type Job, maxShares, scopeOf, serversOf } from '../records/job.ts'
import type { Hints, Sizing } from '../sizing/rightsizing.ts'
import type { Admission } from './admission.ts'
import type { Tickets } from './tickets.ts'
import type { Usage } from './usage.ts'

export interface JobLifecycleOptions {
  readonly runtime: Runtime
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly admission: Admission
  readonly fleetCapacity: FleetCapacity
  readonly metadata: MetadataServers
  readonly tickets: Tickets
  readonly usage: Usage
  readonly events: Events
  readonly log: Logger
  readonly background: Background
  /** Serializes the changes of one job. */
  readonly serial: KeyedMutex
  /** Sizes a job of an owner and name by the present state. Throws `RESERVATION_REFUSED`. */
  readonly size: (scope: string, hints: Hints) => Sizing
}

/** The rooms above that act on changes of jobs. */
export interface JobWatcher {
  /** Called when a reservation was freed. */
  freed(): void
  /** Called when metadata may have other shares of a job than the ledger. */
  unsure(job: string): void
}

/** Resizes, renews and ends registered jobs. */
export class JobLifecycle {
  readonly #options: JobLifecycleOptions
  readonly #ending = new Map<string, Promise<Job>>()
  readonly #resizing = new Set<Promise<Job>>()
  #watcher: JobWatcher | null = null

  constructor(options: JobLifecycleOptions) {
    this.#options = options
  }

  /** Set once, before any job is changed. */
  watch(watcher: JobWatcher): void {
    this.#watcher = watcher
  }

  /** Grows or shrinks a reservation. If it does not fit, nothing changes. */
  async resize(id: string, hints: Hints): Promise<Job> {
    this.requireLiving(id)
    const resize = this.#options.serial.run(id, () => {
      const resizing = this.#resize(this.requireLiving(id), hints).finally(() =>
        this.#resizing.delete(resizing),
      )
      this.#resizing.add(resizing)
      return resizing
    })
    return await resize
  }

  /** True while the chosen shares of a resize are not final in the ledger. */
  get isResizing(): boolean {
    return this.#resizing.size > 0
  }

  /**
   * Resolves once the resizes under way are over; metadata may not know their reservations yet. Rejects with `UNAVAILABLE` if others have
   * begun meanwhile.
   */
  async resized(): Promise<void> {
    await Promise.allSettled(this.#resizing)
    if (this.#resizing.size > 0) throw new MayflyError('UNAVAILABLE', 'Jobs are being resized at this moment')
  }

  /** Restarts the lease of the job. */
  async renew(id: string): Promise<Job> {
    this.requireLiving(id)
    this.#options.ledger.touch(id, this.#options.runtime.clock.monotonicMs())
    return await this.#options.ledger.change(id, {})
  }

  /** Resolves with the ended job once its bytes are freed. Rejects if metadata does not answer; the control loop retries. */
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

  /** As `end`, with a bound: rejects with `UNAVAILABLE` after `CONTROL_CALL_MS` and continues in the background. */
  async endWithin(id: string, reason: EndReason): Promise<Job> {
    const { clock } = this.#options.runtime
    const ended = await within(clock, CONTROL_CALL_MS, this.end(id, reason))
    if (ended !== null) return ended
    throw new MayflyError('UNAVAILABLE', `Job ${id} is ending, but its metadata server does not answer`)
  }

  /** As `end`, in the background. The control loop retries failures. */
  endInBackground(id: string, reason: EndReason): void {
    if (this.#ending.has(id)) return
    void this.#options.background.attempt(['endJobs', id], () => this.end(id, reason))
  }

  async #resize(job: Job, added: Hints): Promise<Job> {
    const { ledger, nodes, admission, metadata, tickets, events, runtime, size, log } = this.#options
    const { id } = job
    const hints = { ...job.hints, ...added }
    const { demand, reasons } = size(scopeOf(job), hints)
    const shares = admission.resize(job, demand)
    // Until the nodes know the new shares the larger of both counts, so released capacity is not assigned too early.
    ledger.hold(id, maxShares(job.shares, shares))
    try {
      const deadlineMs = runtime.clock.monotonicMs() + this.#options.fleetCapacity.waitMsMax
      await nodes.settled(
        shares.map(({ node }) => node),
        deadlineMs,
      )
      const placed = placedJob({ id, demand }, shares, nodes)
      const placement = await metadata.ask(job.metadata, deadlineMs, (client, address) =>
        client.shareJob(address, placed),
      )
      tickets.cachePlacement(id, placement)
      const resized = await ledger.change(id, { hints, demand, reasons, shares })
      events.emit('job.resized', { job: id, hints })
      const { ramBytes, ssdBytes, bytesPerSecond } = demand
      log.info({ job: id, ramBytes, ssdBytes, bytesPerSecond }, 'a job is resized')
      return resized
    } catch (error) {
      ledger.hold(id, job.shares)
      // Metadata may have received the change.
      this.#watcher?.unsure(id)
      throw error
    }
  }

  async #end(id: string, reason: EndReason): Promise<Job> {
    const { ledger, tickets, usage, events, background, log } = this.#options
    const job = ledger.require(id)
    if (job.state === 'ended') return job
    if (job.state !== 'ending') await ledger.change(id, { state: 'ending', endReason: reason })
    await this.#endOn(job)
    tickets.forget(id)
    usage.forgetJob(id)
    background.forget(id)
    const ended = await ledger.end(id)
    events.emit('job.ended', { job: id, name: job.name, reason: ended.endReason })
    const what = { job: id, jobName: job.name, owner: job.owner, reason: ended.endReason }
    log.info(what, 'a job has ended')
    this.#watcher?.freed()
    return ended
  }

  /**
   * Ends the job on its metadata servers, in order. A server that is transferring the job does not end it, so an ended job cannot arrive at
   * the next server. Rejects with `UNAVAILABLE` if a server that may decide about the job does not answer in time; callers retry. Former
   * servers only remember where the job went; they are told in the background, or by `Reconciler.compare` once they are back.
   */
  async #endOn(job: Job): Promise<void> {
    const { metadata, runtime, background } = this.#options
    const end = (server: string): Promise<void> =>
      metadata
        .ask(server, runtime.clock.monotonicMs() + CONTROL_CALL_MS, (client, address) =>
          client.endJob(address, job.id),
        )
        .catch((error: unknown) => {
          if (!isGone(error)) throw error
        })
    const deciding = decidersOf(job)
    for (const server of serversOf(job)) {
      if (deciding.includes(server)) await end(server)
      else void background.once(['forgetJob', `${job.id} on ${server}`], () => end(server))
    }
  }

  /** Throws `JOB_NOT_FOUND`, or `JOB_ENDED` if the job has ended or is ending. */
  requireLiving(id: string): Job {
    const job = this.#options.ledger.require(id)
    if (job.state === 'ending' || job.state === 'ended' || this.#ending.has(id)) {
      throw new MayflyError('JOB_ENDED', `Job ${id} has ended`)
    }
    return job
  }
}
