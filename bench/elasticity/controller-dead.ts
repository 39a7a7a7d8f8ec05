import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'mayfly'
import { PacedLoad } from '../load/paced-load.ts'
import { nowMs } from '../probes/shared-clock.ts'
import { type Latencies, latenciesWithin } from '../report/latencies.ts'
import { Cluster } from '../servers/cluster.ts'
import { CAPACITY_BYTES, loadShape, nodeClass } from './load-settings.ts'

/** Half of the throughput of the job's two nodes. */
const BYTES_PER_SECOND = 2e7
const STEADY_MS = 3_000
const POLL_MS = 20
const BACK_MS_MAX = 30_000

export interface ControllerDead {
  readonly deadMs: number
  readonly before: Latencies
  readonly during: Latencies
  /** From when the controller may be started again until it has answered a registration. */
  readonly backMs: number
  readonly problems: readonly string[]
}

/**
 * Kills the controller under load and keeps it dead for `deadMs`. Its supervisor would start it again at once, so the supervisor is stopped (SIGSTOP)
 * meanwhile, and
 * nobody listens at the controller's port.
 */
export async function runControllerDead(of: { dir: string; deadMs: number }): Promise<ControllerDead> {
  const { dir, deadMs } = of
  const cluster = await Cluster.start({ ...nodeClass, nodesMax: 4 }, { warmNodes: 0 })
  let load: PacedLoad | null = null
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    // More than one node can move, so that the job has two nodes.
    const job = await mayfly.registerJob('orphan', { capacityBytes: CAPACITY_BYTES, peakBytesPerSecond: 4e7 })
    load = await PacedLoad.open({ ...loadShape, dir, name: `dead-${deadMs}`, ticket: job.ticket })
    load.pace(BYTES_PER_SECOND)
    const controller = await cluster.controllerPid()
    const began = nowMs()
    await sleep(STEADY_MS)
    process.kill(cluster.pid, 'SIGSTOP')
    process.kill(controller, 'SIGKILL')
    const died = nowMs()
    await sleep(deadMs)
    const isGone = await cluster.nodes().then(
      () => false,
      () => true,
    )
    const due = nowMs()
    process.kill(cluster.pid, 'SIGCONT')
    await untilBack(cluster)
    const next = await mayfly.registerJob('next', { capacityBytes: 1, peakBytesPerSecond: 1 })
    const backMs = nowMs() - due
    await sleep(STEADY_MS)
    const { calls, problems } = await load.stop()
    await next.deregister()
    await job.deregister()
    return {
      deadMs,
      before: latenciesWithin(calls, [began, died]),
      during: latenciesWithin(calls, [died, due]),
      backMs,
      problems: isGone ? problems : [...problems, 'the controller answered while it was to be dead'],
    }
  } finally {
    process.kill(cluster.pid, 'SIGCONT')
    await load?.end()
    await cluster.stop()
  }
}

async function untilBack(cluster: Cluster): Promise<void> {
  for (const untilMs = nowMs() + BACK_MS_MAX; nowMs() < untilMs; await sleep(POLL_MS)) {
    try {
      await cluster.nodes()
      return
    } catch {
      // Nobody listens at the port yet.
    }
  }
  throw new Error(`the controller has not come back within ${BACK_MS_MAX} ms`)
}
