import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type RegisteredJob } from 'mayfly'
import { PacedLoad } from '../load/paced-load.ts'
import type { LineChart } from '../report/chart.ts'
import { Cluster } from '../servers/cluster.ts'
import { CAPACITY_BYTES, loadShape, nodeClass } from './load-settings.ts'
import { Timeline } from './timeline.ts'

/** The jobs of Pocket's Figure 10, in GB/s. */
const JOBS_GB_PER_SECOND = [3, 2.5, 3] as const
/** Bytes per second here for each GB/s there, so that a job needs as many nodes here as there. */
const SCALE = 2e7
const NODES_MAX = 10
const POLL_MS = 50
const STOP_MS_MAX = 30_000

interface JobSeen {
  readonly name: string
  readonly askedBytesPerSecond: number
  /** From the call to the answer, when its capacity is available. */
  readonly registeredMs: number
  readonly movedBytesPerSecond: number
  readonly nodesBefore: number
  readonly nodesAfter: number
}

export interface ThreeJobs {
  readonly jobs: readonly JobSeen[]
  /** From the end of the last job until all node processes but one have exited. */
  readonly releasedMs: number
  readonly problems: readonly string[]
  readonly chart: LineChart
  readonly samples: Timeline['samples']
}

/** Three jobs that start one after another and end in the same order, each as fast as its hint says. */
export async function runThreeJobs(of: { dir: string; stepMs: number }): Promise<ThreeJobs> {
  const cluster = await Cluster.start({ ...nodeClass, nodesMax: NODES_MAX }, { warmNodes: 1 })
  const timeline = new Timeline(cluster)
  const running: {
    job: RegisteredJob
    load: PacedLoad
    seen: Omit<JobSeen, 'movedBytesPerSecond'>
    from: number
  }[] = []
  const jobs: JobSeen[] = []
  const problems: string[] = []
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    const begin = async (index: number): Promise<void> => {
      const name = `job-${index + 1}`
      const askedBytesPerSecond = (JOBS_GB_PER_SECOND[index] ?? 0) * SCALE
      const nodesBefore = await busyNodes(cluster)
      const beganMs = performance.now()
      const job = await mayfly.registerJob(name, {
        capacityBytes: CAPACITY_BYTES,
        peakBytesPerSecond: askedBytesPerSecond,
      })
      const registeredMs = performance.now() - beganMs
      const load = await PacedLoad.open({ ...loadShape, dir: of.dir, name, ticket: job.ticket })
      timeline.loads.push(load)
      load.pace(askedBytesPerSecond)
      const nodesAfter = await busyNodes(cluster)
      const seen = { name, askedBytesPerSecond, registeredMs, nodesBefore, nodesAfter }
      running.push({ job, load, seen, from: performance.now() })
    }
    const end = async (): Promise<void> => {
      const first = running.shift()
      if (first === undefined) return
      const seconds = (performance.now() - first.from) / 1000
      const movedBytesPerSecond = first.load.movedBytes / seconds
      problems.push(...(await first.load.stop()).problems)
      await first.job.deregister()
      jobs.push({ ...first.seen, movedBytesPerSecond })
    }
    for (const index of JOBS_GB_PER_SECOND.keys()) {
      await begin(index)
      await sleep(of.stepMs)
    }
    let endedMs = 0
    while (running.length > 0) {
      endedMs = performance.now()
      await end()
      if (running.length > 0) await sleep(of.stepMs)
    }
    while ((await cluster.nodes()).length > 1 && performance.now() - endedMs < STOP_MS_MAX)
      await sleep(POLL_MS)
    const releasedMs = performance.now() - endedMs
    await sleep(1_000)
    await timeline.stop()
    const chart = timeline.chart('Three jobs of 60, 50 and 60 MB/s: what is allocated over time')
    return { jobs, releasedMs, problems, chart, samples: timeline.samples }
  } finally {
    await timeline.stop().catch(() => undefined)
    await Promise.all(running.map(({ load }) => load.end()))
    await cluster.stop()
  }
}

async function busyNodes(cluster: Cluster): Promise<number> {
  return (await cluster.nodes()).filter(({ bytesPerSecond }) => bytesPerSecond.reserved > 0).length
}
