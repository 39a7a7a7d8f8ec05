import { isError, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, NODE_START_MS_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { KeyedMutex } from '../../service/process/locks.ts'
import type { Logger } from '../../service/process/log.ts'
import type { Events } from '../events/events.ts'
import type { JobLifecycle } from '../jobs/job-lifecycle.ts'
import type { Tickets } from '../jobs/tickets.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { isGone, type MetadataServers } from '../metadata/servers.ts'
import type { NodeLifecycle } from '../nodes/node-lifecycle.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import type { Placer } from '../placement/placer.ts'
import { placedJob } from '../placement/shares.ts'
import { cancelLeaving, type Job, reservedBy } from '../records/job.ts'
import type { Node } from '../records/node.ts'

export interface ReconcilerOptions {
  readonly clock: Clock
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly nodeLifecycle: NodeLifecycle
  readonly placer: Placer
  readonly metadata: MetadataServers
  readonly tickets: Tickets
  readonly jobs: JobLifecycle
  readonly events: Events
  readonly log: Logger
  readonly background: Background
  readonly serial: KeyedMutex
}

/** Reconciles jobs with metadata: after deaths of nodes, and after changes that metadata may have missed. */
export class Reconciler {
  readonly #options: ReconcilerOptions
  /** Active jobs whose shares metadata may not know, or that have no node. */
  readonly #pending = new Set<string>()
  /** Jobs with a dead node until metadata has placed their slots on others. Their keys there are unavailable meanwhile. */
  readonly #interrupted = new Set<string>()
  readonly #underWay = new Set<string>()
  /** For each metadata server, the dead nodes that it has not confirmed yet. */
  readonly #unreported = new Map<string, Set<string>>()
  readonly #reporting = new Map<string, Promise<void>>()

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** True while metadata may not know the job's shares, or some are on nodes that do not serve. */
  isPending(job: string): boolean {
    return this.#pending.has(job)
  }

  /** True from the death of a node of the job until its slots are on other nodes. */
  isInterrupted(job: string): boolean {
    return this.#interrupted.has(job)
  }

  get isIdle(): boolean {
    return this.#pending.size === 0
  }

  /** Dead nodes that some metadata server has not confirmed yet. */
  get unreported(): ReadonlySet<string> {
    return new Set([...this.#unreported.values()].flatMap((nodes) => [...nodes]))
  }

  /** An empty node has exited; metadata need not wait for its lease to lapse. */
  nodeStopped({ record }: Node): void {
    if (record.address !== null) this.#report(record.id, [])
  }

  /**
   * A node died: reports it to metadata at once and starts replacements for its jobs. The last use there is unknown and the keys are
   * unavailable until they are placed again, so the leases of its jobs count from then.
   */
  nodeLost({ record }: Node): void {
    const jobs = this.#options.ledger
      .living()
      .filter(({ shares }) => shares.some(({ node }) => node === record.id))
    if (record.address !== null) this.#report(record.id, jobs)
    for (const { id } of jobs) {
      this.#interrupted.add(id)
      this.reconcile(id)
    }
  }

  /** Retries what has failed. Jobs are skipped during the back-off after failed node starts. */
  retry(): void {
    for (const server of this.#unreported.keys()) void this.#reportDeaths(server)
    if (!this.#options.nodeLifecycle.mayStartAny()) return
    for (const id of this.#pending) this.reconcile(id)
  }

  /** Compares a new or returned metadata server with the ledger: ends unknown jobs there, and sends the shares of known ones. */
  async compare(server: string): Promise<void> {
    const { ledger, metadata, clock } = this.#options
    const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
    const known = await metadata.ask(server, deadlineMs, (client, address) => client.jobs(address))
    for (const id of known) {
      const job = ledger.get(id)
      if (job !== undefined && job.state !== 'ended') continue
      await metadata.ask(server, deadlineMs, (client, address) => client.endJob(address, id))
    }
    for (const job of ledger.living()) {
      if (job.metadata === server && job.state === 'active') this.reconcile(job.id)
    }
  }

  #report(node: string, jobs: readonly Job[]): void {
    const { metadata } = this.#options
    const servers = new Set([...metadata.all().map(({ id }) => id), ...jobs.map((job) => job.metadata)])
    for (const server of servers) {
      this.#unreported.set(server, (this.#unreported.get(server) ?? new Set()).add(node))
      void this.#reportDeaths(server)
    }
  }

  /** Reports dead nodes to one server, with a deadline; a failure is retried later. Never rejects. */
  #reportDeaths(server: string): Promise<void> {
    const underWay = this.#reporting.get(server)
    if (underWay !== undefined) return underWay
    const { metadata, clock, background } = this.#options
    const tell = async (): Promise<void> => {
      for (
        let untold = this.#unreported.get(server);
        untold !== undefined;
        untold = this.#unreported.get(server)
      ) {
        const nodes = [...untold]
        const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
        await metadata.ask(server, deadlineMs, (client, address) => client.nodesDied(address, nodes))
        for (const node of nodes) untold.delete(node)
        if (untold.size === 0) this.#unreported.delete(server)
      }
    }
    const telling = background
      .attempt(['reportDead', server], tell)
      .then(() => undefined)
      .finally(() => this.#reporting.delete(server))
    this.#reporting.set(server, telling)
    return telling
  }

  /** Resolves once the server of a job has confirmed these deaths. Rejects with `UNAVAILABLE` if it does not for now. */
  async #requireReported(server: string, dead: readonly string[]): Promise<void> {
    const isUntold = (): boolean => dead.some((node) => this.#unreported.get(server)?.has(node))
    if (isUntold()) await this.#reportDeaths(server)
    if (isUntold())
      throw new MayflyError(
        'UNAVAILABLE',
        `Metadata server ${server} has not heard of the death of a node yet`,
      )
  }

  /** Marks the job before its shares change; `reconcile` follows. */
  markPending(id: string): void {
    this.#pending.add(id)
  }

  /** Sends the job's shares to metadata, once shares of dead nodes are replaced and every node serves. */
  reconcile(id: string): void {
    this.#pending.add(id)
    if (this.#underWay.has(id)) return
    this.#underWay.add(id)
    const { serial, background } = this.#options
    void background.attempt(['reconcile', id], () =>
      serial.run(id, async () => {
        // Requests from here on need another run.
        this.#underWay.delete(id)
        this.#pending.add(id)
        await this.#reconcile(id)
      }),
    )
  }

  async #reconcile(id: string): Promise<void> {
    const { ledger, nodes, metadata, tickets, jobs, clock } = this.#options
    const job = ledger.get(id)
    if (job?.state !== 'active') return this.#settled(id)
    const dead = job.shares.map(({ node }) => node).filter((node) => !nodes.isAlive(node))
    const placed = await this.#replaceDeadShares(job)
    await this.#requireReported(job.metadata, dead)
    if (placed === null || placed.shares.length === 0) return
    const told = placedJob(job, placed.shares, nodes)
    const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
    try {
      const placement = await metadata.ask(job.metadata, deadlineMs, (client, address) =>
        client.shareJob(address, told),
      )
      tickets.cachePlacement(id, placement)
      if (this.#interrupted.has(id)) ledger.touch(id, clock.monotonicMs())
      this.#settled(id)
    } catch (error) {
      if (!isGone(error)) throw error
      this.#settled(id)
      this.#options.log.error(
        { job: id },
        'metadata does not know a job; it ends, because its data cannot be found',
      )
      jobs.endInBackground(id, 'failed')
    }
  }

  #settled(id: string): void {
    this.#pending.delete(id)
    this.#interrupted.delete(id)
  }

  /**
   * The job with replacements for shares of dead nodes, or, without capacity, with the remaining shares. Null if one of these drains: its
   * data would move to nodes that reserve too little for it, so it stays until there is capacity.
   */
  async #replaceDeadShares(job: Job): Promise<Job | null> {
    const { ledger, placer, nodes, clock } = this.#options
    try {
      return await placer.awaitServing(job.id, clock.monotonicMs() + NODE_START_MS_MAX)
    } catch (error) {
      if (!isError(error, 'RESERVATION_REFUSED', 'UNAVAILABLE')) throw error
      const living = ledger.require(job.id).shares.filter(({ node }) => nodes.serves(node))
      const shares = living.length < job.shares.length ? cancelLeaving(living) : living
      if (shares.some(({ node }) => nodes.isEmptying(node))) return null
      const degraded = await ledger.change(job.id, { shares })
      if (shares.length < job.shares.length) this.#reportDegraded(degraded, error.reason)
      return degraded
    }
  }

  #reportDegraded(job: Job, reason: string): void {
    const { events, log } = this.#options
    const { ramBytes, ssdBytes, bytesPerSecond } = reservedBy(job)
    log.warn({ job: job.id, reason }, 'a dead node has no replacement; the others take its slots')
    events.emit('job.degraded', { job: job.id, ramBytes, ssdBytes, bytesPerSecond, reason })
  }
}
