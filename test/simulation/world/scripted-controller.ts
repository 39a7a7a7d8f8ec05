import { isError } from '../../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../../protocol/limits.ts'
import type { Placement } from '../../../protocol/model/placement.ts'
import { formatTicket } from '../../../protocol/model/ticket.ts'
import { signToken } from '../../../protocol/model/token.ts'
import type { Operation } from '../../../protocol/operations/operation.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { sleep } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { askServerOf } from '../../../protocol/transport/job-server.ts'
import { clusterToken } from '../../../service/process/cluster-token.ts'
import { KeyedMutex } from '../../../service/process/locks.ts'
import type { Cluster, RunningNode } from './cluster.ts'
import type { Control, PlacedJob } from './control.ts'
import type { Host } from './host.ts'
import type { MetadataServer } from './metadata-servers.ts'

const TICKET_SECONDS = 24 * 3600
const RETRY_MS = 50
const NODE_WEIGHT = 100
const JOB_BYTES_PER_SECOND = 1e6

/** Acts as the controller: places jobs, proves deaths, changes shares, ends jobs. It retries until it is answered. */
export class ScriptedController implements Control {
  readonly decides = false
  readonly ips = []
  readonly host: Host
  readonly #cluster: Cluster
  readonly #pool: CallerPool
  /** Jobs are assigned to the metadata servers in turn. */
  #placed = 0
  /** Why its requests have not succeeded yet. */
  readonly #refusals = new Map<string, string>()
  readonly #serial = new KeyedMutex()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.host = cluster.newHost('controller')
    const { clock } = this.host
    this.#pool = new CallerPool({
      dial: cluster.network.of(this.host).dial,
      runtime: this.host.runtime,
      token: () => clusterToken(cluster.secret, clock.wallMs()),
    })
  }

  async createJob(
    id: string,
    options: { slots: number; capacityBytes: number; ssdBytes: number; s3Bytes: number },
  ): Promise<PlacedJob> {
    const job: PlacedJob = {
      id,
      ...options,
      ticket: '',
      servers: [this.#cluster.metadata.addresses[this.#placed++ % this.#cluster.metadata.all.length] ?? ''],
      nodes: [...this.#cluster.living],
      weights: new Map(),
      endAskedMs: null,
    }
    await this.#create(job)
    return job
  }

  async setShares(job: PlacedJob): Promise<void> {
    if (job.endAskedMs !== null) return
    await this.#askUntilHeard(job, placementOperations.jobShares, () => ({
      job: job.id,
      readsPerThousand: null,
      shares: sharesOf(job),
    }))
  }

  /** Transfers the job to another metadata server, and completes a transfer that was begun. */
  async moveJob(job: PlacedJob, to: MetadataServer): Promise<void> {
    await this.#serial.run(job.id, async () => {
      const from = job.servers.at(-1)
      if (job.endAskedMs !== null || from === undefined || from === to.address) return
      job.servers = [...job.servers.filter((server) => server !== to.address), to.address]
      const target = { id: to.id, address: to.address }
      const at = { id: job.id, servers: [from] }
      await this.#askUntilHeard(at, placementOperations.jobMove, () => ({ job: job.id, target }))
    })
  }

  /** The fleet has seen the process exit. */
  async proveDeath(node: RunningNode): Promise<void> {
    const { addresses } = this.#cluster.metadata
    await Promise.all(
      addresses.map((server) =>
        this.#askUntilHeard(server, placementOperations.nodesDied, () => ({ nodes: [node.id] })),
      ),
    )
  }

  async endJob(job: PlacedJob): Promise<void> {
    job.endAskedMs ??= this.#cluster.timeline.nowMs
    await this.#serial.run(job.id, async () => {
      for (const server of job.servers) {
        await this.#askUntilHeard(server, placementOperations.jobEnd, () => ({ job: job.id }))
      }
    })
  }

  /** Descriptions of its requests that have not succeeded yet. */
  get waiting(): string[] {
    return [...this.#refusals.values()]
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.host.clock, ms)
  }

  async #create(job: PlacedJob): Promise<void> {
    const placement = await this.#askUntilHeard(job, placementOperations.jobCreate, () => ({
      job: job.id,
      slots: job.slots,
      readsPerThousand: null,
      shares: sharesOf(job),
    }))
    if (placement !== null) job.ticket = this.#ticket(job, placement)
  }

  #ticket(job: PlacedJob, placement: Placement): string {
    const { secret } = this.#cluster
    const expiresSeconds = Math.floor(this.host.clock.wallMs() / 1000) + TICKET_SECONDS
    const token = signToken(secret, { job: job.id, read: true, write: true, expiresSeconds })
    return formatTicket({ metadata: job.servers.at(-1) ?? '', job: job.id, token, placement })
  }

  /** Calls a server, or the one that currently decides for a job. Null if the job has ended meanwhile. */
  async #askUntilHeard<Request, Reply>(
    of: string | Pick<PlacedJob, 'id' | 'servers'>,
    operation: Operation<Request, Reply>,
    request: () => Request,
  ): Promise<Reply | null> {
    let [server = '', job] = typeof of === 'string' ? [of, ''] : [of.servers[0], of.id]
    const name = `${server} ${JSON.stringify(request())}`
    for (let attempt = 0; ; attempt++) {
      try {
        const caller = await this.#pool.to(server)
        const bounds = { deadlineMs: this.host.clock.monotonicMs() + CONTROL_CALL_MS + 1_000 }
        const answer = await askServerOf(job, { caller, bounds }, { operation, request: request() })
        if ('reply' in answer) {
          this.#refusals.delete(name)
          return answer.reply
        }
        server = answer.movedTo
      } catch (error) {
        this.#refusals.set(name, `the controller asks ${name}, attempt ${attempt}: ${String(error)}`)
        if (isError(error, 'JOB_ENDED')) return null
        if (!isError(error, 'UNAVAILABLE', 'CONNECTION_LOST', 'DEADLINE_EXCEEDED')) throw error
      }
      await this.sleep(RETRY_MS)
    }
  }
}

function sharesOf(job: PlacedJob) {
  const nodes = job.nodes.filter(({ host }) => host.alive)
  const ramBytes = Math.floor(job.capacityBytes / Math.max(1, nodes.length))
  const ssdBytes = Math.floor(job.ssdBytes / Math.max(1, nodes.length))
  const s3Bytes = Math.floor(job.s3Bytes / Math.max(1, nodes.length))
  const isSomeone = nodes.some(({ id }) => weightOf(job, id) > 0)
  return nodes.map(({ id, address }) => {
    // At least one node must have a positive weight, for the slots to be somewhere.
    const weight = isSomeone ? weightOf(job, id) : NODE_WEIGHT
    return { node: id, address, weight, ramBytes, ssdBytes, s3Bytes, bytesPerSecond: JOB_BYTES_PER_SECOND }
  })
}

function weightOf({ weights }: PlacedJob, node: string): number {
  return weights.get(node) ?? NODE_WEIGHT
}
