import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'mayfly'
import { PacedLoad } from '../load/paced-load.ts'
import { nowMs } from '../probes/shared-clock.ts'
import type { LineChart } from '../report/chart.ts'
import { type Latencies, latenciesWithin } from '../report/latencies.ts'
import { Cluster } from '../servers/cluster.ts'
import { CAPACITY_BYTES, loadShape, nodeClass } from './load-settings.ts'
import { Timeline } from './timeline.ts'

/** 43 % of the only node at first; twice as much is above the band. */
const BASE_BYTES_PER_SECOND = 8.6e6

export interface DoublingSettings {
  /** How long the first load lasts. */
  readonly steadyMs: number
  /** How long to wait for a decision. */
  readonly decisionMsMax: number
  /** How long to go on after each decision. */
  readonly afterMs: number
}

export interface Doubling {
  /** Since the doubling; null if no node was added in time. */
  readonly scaledOutMs: number | null
  readonly nodeActiveMs: number | null
  /** Since the halving; null if no node was removed in time. */
  readonly scaledInMs: number | null
  readonly nodeStoppedMs: number | null
  /** Calls before the doubling, from the doubling on, and from the halving on. */
  readonly windows: readonly {
    readonly name: string
    readonly latencies: Latencies
    readonly usedBytesPerSecond: number
    readonly askedBytesPerSecond: number
  }[]
  readonly problems: readonly string[]
  readonly chart: LineChart
  readonly samples: Timeline['samples']
}

/** One job without a throughput hint: its load doubles, then halves. */
export async function runDoubling(settings: DoublingSettings & { dir: string }): Promise<Doubling> {
  const { dir, steadyMs, decisionMsMax, afterMs } = settings
  const cluster = await Cluster.start({ ...nodeClass, nodesMax: 4 }, { warmNodes: 0 })
  const timeline = new Timeline(cluster)
  let load: PacedLoad | null = null
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    const job = await mayfly.registerJob('doubling', { capacityBytes: CAPACITY_BYTES })
    load = await PacedLoad.open({ ...loadShape, dir, name: 'doubling', ticket: job.ticket })
    timeline.loads.push(load)
    load.pace(BASE_BYTES_PER_SECOND)
    const began = mark(timeline)
    await sleep(steadyMs)
    load.pace(2 * BASE_BYTES_PER_SECOND)
    const doubled = mark(timeline)
    const scaledOut = await cluster.event('class.scaledOut', doubled.atMs, decisionMsMax)
    const active = scaledOut && (await cluster.event('node.active', scaledOut.atMs, decisionMsMax))
    await sleep(afterMs)
    load.pace(BASE_BYTES_PER_SECOND)
    const halved = mark(timeline)
    const scaledIn = scaledOut && (await cluster.event('class.scaledIn', halved.atMs, decisionMsMax))
    const stopped = scaledIn && (await cluster.event('node.stopped', scaledIn.atMs, decisionMsMax))
    await sleep(afterMs)
    const ended = mark(timeline)
    const { calls, problems } = await load.stop()
    await timeline.stop()
    const windows = [
      { name: 'before', from: began, to: doubled, factor: 1 },
      { name: 'doubled', from: doubled, to: halved, factor: 2 },
      { name: 'halved', from: halved, to: ended, factor: 1 },
    ].map(({ name, from, to, factor }) => {
      return {
        name,
        latencies: latenciesWithin(calls, [from.atMs, to.atMs]),
        usedBytesPerSecond: timeline.usedBetween(from.seconds + 1, to.seconds),
        askedBytesPerSecond: factor * BASE_BYTES_PER_SECOND,
      }
    })
    await job.deregister()
    const since = (event: { atMs: number } | null, from: { atMs: number }): number | null =>
      event === null ? null : event.atMs - from.atMs
    return {
      scaledOutMs: since(scaledOut, doubled),
      nodeActiveMs: since(active, doubled),
      scaledInMs: since(scaledIn, halved),
      nodeStoppedMs: since(stopped, halved),
      windows,
      problems,
      chart: timeline.chart('The load doubles and halves'),
      samples: timeline.samples,
    }
  } finally {
    await timeline.stop().catch(() => undefined)
    await load?.end()
    await cluster.stop()
  }
}

/** A moment on the clock that all processes share, and on the timeline. */
function mark(timeline: Timeline): { atMs: number; seconds: number } {
  return { atMs: nowMs(), seconds: timeline.seconds }
}
