import { setTimeout as sleep } from 'node:timers/promises'
import { Load } from '../../load/load.ts'
import { cpuSeconds, startedMs } from '../../probes/process-stat.ts'
import { nowMs } from '../../probes/shared-clock.ts'
import { type Latencies, latenciesWithin } from '../../report/latencies.ts'
import { command } from '../../servers/cluster.ts'
import type { ApiRequest, Kubernetes } from '../../servers/kubernetes/kubernetes.ts'
import { KubernetesCluster } from '../../servers/kubernetes/kubernetes-cluster.ts'

export interface On {
  readonly kubernetes: Kubernetes
  /** URL of an empty database. */
  readonly database: string
  readonly signal: AbortSignal
}

/** From the request of a registration that needs a pod until its answer, in ms. */
export interface Start {
  /** Until the API server has the request for the pod. */
  readonly decidedMs: number
  /** Until the process of the container runs: scheduler and kubelet. */
  readonly kubernetesMs: number
  /** Until the node has reported, metadata has placed the job, and the driver has the answer. */
  readonly broughtUpMs: number
}

const MIB = 2 ** 20
const POLL_MS = 100
const WAIT_MS_MAX = 300_000

/** Registrations one after the other, each of which needs a pod. */
export async function measureStarts(on: On, samples: number): Promise<Start[]> {
  return await withCluster({ ...on, ramBytes: 128 * MIB }, async (cluster) => {
    await (await cluster.controller()).ready
    const mayfly = await cluster.connect()
    const starts: Start[] = []
    for (let sample = 0; sample <= samples; sample++) {
      on.signal.throwIfAborted()
      const sentMs = nowMs()
      // For a name that recurs a node would be started ahead.
      const job = await mayfly.registerJob(`pod-${sample}`, { capacityBytes: 96 * MIB }, { waitSeconds: 60 })
      const answeredMs = nowMs()
      const node = job.reservation.nodes[0]?.node ?? ''
      const runsMs = await startedMs(await cluster.pidOf(node))
      const created = (await cluster.requests()).findLast(isOf('create', 'pods'))
      const createdMs = created?.atMs ?? Number.NaN
      // The first one waits for the metadata server too.
      if (sample > 0)
        starts.push({
          decidedMs: createdMs - sentMs,
          kubernetesMs: runsMs - createdMs,
          broughtUpMs: answeredMs - runsMs,
        })
      await job.deregister()
      await until('no pod is left', async () => (await cluster.pods()).length === 0)
    }
    return starts
  })
}

export interface DrainSettings {
  readonly objects: number
  readonly objectBytes: number
  readonly clients: number
  readonly lanes: number
  /** Length of the measurement before. */
  readonly beforeMs: number
}

export interface BurstSettings {
  readonly pods: number
  /** Length of the measurement with all of them. */
  readonly steadyMs: number
}

export interface Drain {
  readonly mebibytes: number
  /** From the deletion of the pod until it is gone. */
  readonly tookMs: number
  readonly before: Latencies
  readonly during: Latencies
  readonly problems: readonly string[]
}

/** The pod of the only node, which is full, is deleted under load: SIGTERM begins a drain onto a pod that is started for it. */
export async function measureDrain(on: On & { dir: string }, settings: DrainSettings): Promise<Drain> {
  const { objects, objectBytes, beforeMs } = settings
  const bytes = objects * objectBytes
  const classes = [{ name: 'small', nodesMax: 2, spec: { terminationGracePeriodSeconds: 300 } }]
  return await withCluster({ ...on, classes, ramBytes: 2 * bytes }, async (cluster) => {
    await (await cluster.controller()).ready
    const mayfly = await cluster.connect()
    const hints = { capacityBytes: Math.ceil(1.25 * bytes) + MIB, peakBytesPerSecond: 1e8 }
    const job = await mayfly.registerJob('drain', hints, { waitSeconds: 60 })
    const load = await Load.fill({ ...settings, dir: on.dir, ticket: job.ticket })
    try {
      load.start([Array.from({ length: objects }, (_, number) => number)])
      const beganMs = nowMs()
      await sleep(beforeMs)
      const [pod] = await cluster.pods()
      const name = pod?.metadata.name ?? ''
      const deletedMs = nowMs()
      await cluster.kubectl('delete', 'pod', name, '--wait=false')
      const isGone = async () => (await cluster.pods()).every(({ metadata }) => metadata.name !== name)
      await until('the pod is gone', isGone)
      const goneMs = nowMs()
      const { calls, problems } = await load.stop()
      await job.deregister()
      return {
        mebibytes: bytes / MIB,
        tookMs: goneMs - deletedMs,
        before: latenciesWithin(calls, [beganMs, deletedMs]),
        during: latenciesWithin(calls, [deletedMs, goneMs]),
        problems,
      }
    } finally {
      await load.end()
    }
  })
}

/** What the controller used in a time. */
export interface Use {
  readonly seconds: number
  readonly cpuSeconds: number
  /** Requests to the API server, by verb and resource. */
  readonly requests: Readonly<Record<string, number>>
}

export interface Burst {
  /** From the first registration until the last job is active. */
  readonly starting: Use
  /** While all pods run and nothing changes. */
  readonly steady: Use
  /** Until the last pod is gone, after all jobs have ended. */
  readonly ending: Use
}

/** With what is added for keys it takes a node of 128 MiB. */
export const BURST_JOB_BYTES = 119 * MIB

/** `program` is the built command. */
export function burstClass(pods: number, program: string) {
  // The processes of the pods share the cores with the controller and Kubernetes, which on other machines have their own.
  const container = { command: ['nice', '-n', '10', process.execPath, program, 'node'] }
  // A job may be spread over what others leave of their nodes, so that another one needs one more.
  return { name: 'small', nodesMax: pods + 10, container }
}

/** As many registrations at once as `pods`, each of which needs a pod. */
export async function measureBurst(on: On, { pods, steadyMs }: BurstSettings): Promise<Burst> {
  const classes = [burstClass(pods, command)]
  // A busy machine costs a controller its lead in PostgreSQL, and then it ends.
  const options = { ...on, database: null, classes, startSeconds: 300, ramBytes: 128 * MIB }
  return await withCluster(options, async (cluster) => {
    const controller = await cluster.controller()
    await controller.ready
    const mayfly = await cluster.connect()
    // The metadata server starts, too.
    await (await mayfly.registerJob('first', { capacityBytes: MIB }, { waitSeconds: 60 })).deregister()
    const isGone = async () => (await cluster.pods()).length === 0
    await until('no pod is left', isGone)
    const used = async <Result>(work: () => Promise<Result>): Promise<[Use, Result]> => {
      const state = async () => ({
        atMs: nowMs(),
        cpu: await cpuSeconds([controller.child.pid ?? 0]),
        requests: await cluster.requests(),
      })
      const before = await state()
      const result = await work()
      const after = await state()
      return [
        {
          seconds: (after.atMs - before.atMs) / 1000,
          cpuSeconds: after.cpu - before.cpu,
          requests: countRequests(after.requests.slice(before.requests.length)),
        },
        result,
      ]
    }
    const register = (number: number) =>
      mayfly.registerJob(`burst-${number}`, { capacityBytes: BURST_JOB_BYTES }, { waitSeconds: 240 })
    const [starting, jobs] = await used(() =>
      Promise.all(Array.from({ length: pods }, (_, number) => register(number))),
    )
    on.signal.throwIfAborted()
    const [steady] = await used(() => sleep(steadyMs))
    const [ending] = await used(async () => {
      await Promise.all(jobs.map((job) => job.deregister()))
      await until('no pod is left', isGone)
    })
    return { starting, steady, ending }
  })
}

export function countRequests(requests: readonly ApiRequest[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { verb, resource } of requests) {
    const kind = `${verb} ${resource}`
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

async function withCluster<Result>(
  options: Omit<Parameters<typeof KubernetesCluster.prepare>[0], 'command'>,
  run: (cluster: KubernetesCluster) => Promise<Result>,
): Promise<Result> {
  const cluster = await KubernetesCluster.prepare({ ...options, command })
  try {
    return await run(cluster)
  } finally {
    await cluster.stop()
  }
}

function isOf(verb: string, resource: string): (request: ApiRequest) => boolean {
  return (request) => request.verb === verb && request.resource === resource
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const untilMs = nowMs() + WAIT_MS_MAX; nowMs() < untilMs; await sleep(POLL_MS))
    if (await holds()) return
  throw new Error(`not within ${WAIT_MS_MAX} ms: ${what}`)
}
