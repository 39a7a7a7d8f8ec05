import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { KeyedMutex } from '../../service/process/locks.ts'
import type { Events } from '../events/events.ts'
import type { JobLifecycle } from '../jobs/job-lifecycle.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { MetadataServers } from '../metadata/servers.ts'
import { type Job, serversOf } from '../records/job.ts'

export interface JobTransfersOptions {
  readonly clock: Clock
  readonly ledger: Ledger
  readonly metadata: MetadataServers
  readonly jobs: JobLifecycle
  readonly events: Events
  readonly background: Background
  readonly serial: KeyedMutex
}

/**
 * Transfers jobs between metadata servers. The target is stored before any server is called, so a restarted controller completes the
 * transfer; the servers exchange the record themselves.
 */
export class JobTransfers {
  readonly #options: JobTransfersOptions
  readonly #underWay = new Set<string>()

  constructor(options: JobTransfersOptions) {
    this.#options = options
  }

  /**
   * Resolves with the job once the other server decides about it. Rejects with `BAD_REQUEST` for an unknown server, and with `UNAVAILABLE`
   * if it takes long; the transfer then continues.
   */
  async move(id: string, to: string): Promise<Job> {
    const { metadata, serial, ledger, jobs } = this.#options
    if (!(await metadata.isKnown(to)))
      throw new MayflyError('BAD_REQUEST', `metadata: no server '${to}' has reported; see GET /v1/cluster`)
    return await serial.run(id, async () => {
      const job = await this.#finish(jobs.requireLiving(id))
      if (job.metadata === to) return job
      return await this.#finish(await ledger.change(id, { movingTo: to }))
    })
  }

  /** Resumes unfinished transfers. */
  resume(): void {
    const { ledger, serial, background } = this.#options
    for (const { id, state, movingTo } of ledger.living()) {
      if (movingTo === null || state !== 'active' || this.#underWay.has(id)) continue
      this.#underWay.add(id)
      const finish = async (): Promise<void> => {
        const job = ledger.require(id)
        if (job.state === 'active') await this.#finish(job)
      }
      void background
        .attempt(['moveJob', id], () => serial.run(id, finish))
        .finally(() => this.#underWay.delete(id))
    }
  }

  async #finish(job: Job): Promise<Job> {
    const { clock, ledger, metadata, events, background } = this.#options
    const { id, metadata: from, movingTo } = job
    if (movingTo === null) return job
    const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
    await metadata.ask(from, deadlineMs, async (client, address) => {
      const target = metadata.get(movingTo)
      if (target === undefined)
        throw new MayflyError('UNAVAILABLE', `Metadata server ${movingTo} has not reported yet`)
      await client.moveJob(address, { id, target: { id: movingTo, address: target.address } })
    })
    const formerServers = serversOf(job).filter((server) => server !== movingTo)
    const moved = await ledger.change(id, { metadata: movingTo, movingTo: null, formerServers })
    events.emit('job.moved', { job: id, from, to: movingTo })
    // It may have failed in the background before, and is not resumed any more.
    background.succeeded(['moveJob', id])
    return moved
  }
}
