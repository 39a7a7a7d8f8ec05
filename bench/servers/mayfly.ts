import { totalmem } from 'node:os'
import { connect, type RegisteredJob } from 'mayfly'
import { Cluster } from '../cluster.ts'
import type { Server } from './server.ts'

/** Half of the machine's RAM: the other systems have no limit, and what they measure must fit. */
const RAM_BYTES = Math.floor(totalmem() / 2)
/** More than loopback carries, so that no rate limit stands between Mayfly and the ceiling. */
const BYTES_PER_SECOND = 1e11

export interface MayflyServer extends Server {
  readonly cluster: Cluster
  /** The job of `target`, which has all of the node. */
  readonly job: RegisteredJob
}

/** `mayfly up` with one node, and a job on it; the target is the job's ticket. */
export async function startMayfly(environment: NodeJS.ProcessEnv = {}): Promise<MayflyServer> {
  const nodeClass = { ramBytes: RAM_BYTES, nodesMax: 1, bytesPerSecond: BYTES_PER_SECOND }
  const cluster = await Cluster.start(nodeClass, environment)
  const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
  const job = await mayfly.registerJob('bench', { capacityBytes: Math.floor(0.9 * RAM_BYTES) })
  return {
    cluster,
    job,
    target: job.ticket,
    pids: () => cluster.pids(),
    stop: async () => {
      await job.close()
      await cluster.stop()
    },
  }
}
