import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Mayfly, openJob, type RegisteredJob } from 'mayfly'
import { Cluster } from '../servers/cluster.ts'

const MIB = 2 ** 20
const NODE_BYTES = 64 * MIB
/** A whole node, less the sixteenth and the mebibyte that the controller adds. */
const WHOLE_NODE_BYTES = Math.floor((NODE_BYTES - MIB) / (1 + 1 / 16))
const POLL_MS = 20
const READY_MS_MAX = 30_000

/** In ms, one figure per sample. */
export interface Registrations {
  /** From the call to the answer with a valid ticket. */
  readonly registeredMs: readonly number[]
  /** From the call to the answer of a function's first put. */
  readonly firstPutMs: readonly number[]
}

/**
 * Registers jobs that take a whole node each, beside a job that has filled the first node. Each of them needs another node: with `warmNodes` 1 it is already
 * started and idle, with 0 it has to be started.
 */
export async function measureRegistrations(of: {
  warmNodes: number
  samples: number
}): Promise<Registrations> {
  const { warmNodes, samples } = of
  const cluster = await Cluster.start({ ramBytes: NODE_BYTES, nodesMax: 4 }, { warmNodes })
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    const first = await register(mayfly, 0)
    const registeredMs: number[] = []
    const firstPutMs: number[] = []
    for (let sample = 1; sample <= samples; sample++) {
      await untilIdle(cluster, warmNodes)
      const beganMs = performance.now()
      const job = await register(mayfly, sample)
      registeredMs.push(performance.now() - beganMs)
      const opened = await openJob(job.ticket)
      await opened.put('first', 'object')
      firstPutMs.push(performance.now() - beganMs)
      await opened.close()
      await job.deregister()
    }
    await first.deregister()
    return { registeredMs, firstPutMs }
  } finally {
    await cluster.stop()
  }
}

/** Each registration has a name of its own: for a name that recurs, nodes would be started ahead. */
function register(mayfly: Mayfly, number: number): Promise<RegisteredJob> {
  return mayfly.registerJob(`whole-node-${number}`, {
    capacityBytes: WHOLE_NODE_BYTES,
    peakBytesPerSecond: 1e6,
  })
}

/** Waits until `count` nodes beside the first serve and hold nothing, and no process is starting or ending. */
async function untilIdle(cluster: Cluster, count: number): Promise<void> {
  for (const untilMs = performance.now() + READY_MS_MAX; performance.now() < untilMs; await sleep(POLL_MS)) {
    const nodes = await cluster.nodes()
    const idle = nodes.filter(({ tiers }) => tiers.ram?.reservedBytes === 0)
    if (nodes.length === count + 1 && idle.length === count && nodes.every(({ state }) => state === 'active'))
      return
  }
  throw new Error(`the cluster has not come to ${count} idle nodes within ${READY_MS_MAX} ms`)
}
