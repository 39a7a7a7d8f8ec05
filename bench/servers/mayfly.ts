import { totalmem } from 'node:os'
import { connect, type Mayfly, type RegisteredJob } from 'mayfly'
import { StallWatch } from '../probes/stall-watch.ts'
import { Cluster } from './cluster.ts'
import type { Server } from './server.ts'

/** Half of the machine's RAM: the other systems have no limit, and all objects of a measurement must fit. */
const RAM_BYTES = Math.floor(totalmem() / 2)
/** The rest is for jobs that a suite registers itself. */
const CAPACITY_BYTES = Math.floor(0.7 * RAM_BYTES)
/** More than loopback carries, so that no rate limit affects the comparison with the ceiling. */
const BYTES_PER_SECOND = 1e11
/** One for each MiB, so that the price of a job is the RAM that it reserves, in MiB. */
const PRICE_PER_HOUR = RAM_BYTES / 2 ** 20

export interface MayflyServer extends Server {
  readonly mayfly: Mayfly
  /** The job of `target`. */
  readonly job: RegisteredJob
}

/** `mayfly up` with one node, and a job on it; the target is the job's ticket, with `tls` followed by the file of the CA. */
export async function startMayfly({
  watchesStalls,
  tls = false,
}: {
  watchesStalls: boolean
  tls?: boolean
}): Promise<MayflyServer> {
  const watch = watchesStalls ? await StallWatch.start() : null
  const nodeClass = {
    ramBytes: RAM_BYTES,
    nodesMax: 1,
    bytesPerSecond: BYTES_PER_SECOND,
    pricePerHour: PRICE_PER_HOUR,
  }
  const cluster = await Cluster.start(nodeClass, { ...(watch && { environment: watch.environment }), tls })
  const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey, ca: cluster.ca })
  const job = await mayfly.registerJob('bench', { capacityBytes: CAPACITY_BYTES })
  return {
    mayfly,
    job,
    target: cluster.caFile === undefined ? job.ticket : `${job.ticket} ${cluster.caFile}`,
    pids: () => cluster.pids(),
    ...(watch !== null && {
      longestStallMs: async () => watch.longestMs((await cluster.nodes()).map(({ pid }) => pid)),
    }),
    stop: async () => {
      await job.close()
      await cluster.stop()
      await watch?.stop()
    },
  }
}
