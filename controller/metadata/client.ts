import { MayflyError } from '../../protocol/errors.ts'
import { METADATA_SERVERS_MAX, SLOTS_DEFAULT } from '../../protocol/limits.ts'
import type { PlacedNode, Placement } from '../../protocol/model/placement.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { askServerOf } from '../../protocol/transport/job-server.ts'
import { callContexts } from '../../service/tracing/call-contexts.ts'
import type { PlacedJob } from '../placement/shares.ts'
import { METADATA_CALL_MS } from './call-queue.ts'

/** Calls of the controller to a metadata server, or to the one that the job has moved to. All are idempotent. */
export interface MetadataClient {
  createJob(address: string, job: PlacedJob): Promise<Placement>
  shareJob(address: string, job: PlacedJob): Promise<Placement>
  /** Resolves once the other server decides about the job. */
  moveJob(address: string, job: { id: string; target: PlacedNode }): Promise<void>
  /** On this server alone. Resolves once every reachable node has freed the job's bytes. */
  endJob(address: string, id: string): Promise<void>
  nodesDied(address: string, nodes: readonly string[]): Promise<void>
  jobs(address: string): Promise<string[]>
  placement(address: string, id: string): Promise<Placement>
}

/** A slot number that means any slot, so the query is not held. */
const ANY_SLOT = 0xffff

export class WireMetadataClient implements MetadataClient {
  readonly #pool: CallerPool
  readonly #clock: Clock

  constructor(pool: CallerPool, clock: Clock) {
    this.#pool = pool
    this.#clock = clock
  }

  createJob(address: string, job: PlacedJob): Promise<Placement> {
    const { id, ...terms } = job
    const request = { job: id, slots: SLOTS_DEFAULT, ...terms }
    return this.#ask(address, placementOperations.jobCreate, request, id)
  }

  shareJob(address: string, job: PlacedJob): Promise<Placement> {
    const { id, ...terms } = job
    return this.#ask(address, placementOperations.jobShares, { job: id, ...terms }, id)
  }

  async moveJob(address: string, { id, target }: { id: string; target: PlacedNode }): Promise<void> {
    await this.#ask(address, placementOperations.jobMove, { job: id, target }, id)
  }

  async endJob(address: string, id: string): Promise<void> {
    await this.#ask(address, placementOperations.jobEnd, { job: id })
  }

  async nodesDied(address: string, nodes: readonly string[]): Promise<void> {
    await this.#ask(address, placementOperations.nodesDied, { nodes })
  }

  async jobs(address: string): Promise<string[]> {
    const jobs = await this.#ask(address, placementOperations.jobs, {})
    return jobs.map(({ job }) => job)
  }

  placement(address: string, id: string): Promise<Placement> {
    return this.#ask(address, metadataOperations.placement, { job: id, known: 0, slot: ANY_SLOT }, id)
  }

  async #ask<Request, Reply>(
    address: string,
    operation: Operation<Request, Reply>,
    request: Request,
    job = '',
  ): Promise<Reply> {
    const bounds = {
      deadlineMs: this.#clock.monotonicMs() + METADATA_CALL_MS,
      context: callContexts.getStore(),
    }
    let at = address
    for (let hops = 0; hops < METADATA_SERVERS_MAX; hops++) {
      const caller = await this.#pool.to(at)
      const answer = await askServerOf(job, { caller, bounds }, { operation, request })
      if ('reply' in answer) return answer.reply
      at = answer.movedTo
    }
    throw new MayflyError('UNAVAILABLE', `Job ${job} is on its way from one metadata server to another`)
  }
}
