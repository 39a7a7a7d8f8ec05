import { setTimeout as sleep } from 'node:timers/promises'
import type { PacedLoad } from '../load/paced-load.ts'
import type { LineChart, Point } from '../report/chart.ts'
import type { Cluster } from '../servers/cluster.ts'

const SAMPLE_MS = 250
/** Loads report the bytes they have moved four times a second; a rate over one second smooths the steps. */
const RATE_SAMPLES = 4
const MARKS = 6
const MB = 1e6

/** One sample of a cluster. */
export interface Sample {
  /** Since the start of the timeline. */
  readonly seconds: number
  /** Nodes that serve, and the sum of their throughput. */
  readonly nodes: number
  readonly allocatedBytesPerSecond: number
  readonly reservedBytesPerSecond: number
  /** Counted by the clients. */
  readonly usedBytesPerSecond: number
}

/** The throughput that a cluster has, has reserved and uses, over time. */
export class Timeline {
  readonly samples: Sample[] = []
  readonly loads: PacedLoad[] = []
  readonly #cluster: Cluster
  readonly #beganMs = performance.now()
  readonly #moved: { atMs: number; bytes: number }[] = []
  readonly #done: Promise<void>
  #running = true

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#done = this.#watch()
  }

  get seconds(): number {
    return (performance.now() - this.#beganMs) / 1000
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #watch(): Promise<void> {
    while (this.#running) {
      const nodes = await this.#cluster.nodes()
      const serving = nodes.filter(({ state }) => state === 'active' || state === 'draining')
      const sum = (of: 'capacity' | 'reserved'): number =>
        serving.reduce((total, { bytesPerSecond }) => total + bytesPerSecond[of], 0)
      this.samples.push({
        seconds: this.seconds,
        nodes: serving.length,
        allocatedBytesPerSecond: sum('capacity'),
        reservedBytesPerSecond: sum('reserved'),
        usedBytesPerSecond: this.#used(),
      })
      await sleep(SAMPLE_MS)
    }
  }

  #used(): number {
    const bytes = this.loads.reduce((sum, { movedBytes }) => sum + movedBytes, 0)
    this.#moved.push({ atMs: performance.now(), bytes })
    const before = this.#moved.at(-1 - RATE_SAMPLES) ?? this.#moved[0]
    const now = this.#moved.at(-1)
    if (before === undefined || now === undefined || before === now) return 0
    return ((now.bytes - before.bytes) * 1000) / (now.atMs - before.atMs)
  }

  /** Mean of the used throughput between two moments. */
  usedBetween(from: number, to: number): number {
    const within = this.samples.filter(({ seconds }) => seconds >= from && seconds < to)
    return (
      within.reduce((sum, { usedBytesPerSecond }) => sum + usedBytesPerSecond, 0) / Math.max(1, within.length)
    )
  }

  chart(title: string): LineChart {
    const points = (of: keyof Sample): Point[] =>
      this.samples.map((sample) => [sample.seconds, sample[of] / MB])
    const series = [
      { name: 'allocated', points: points('allocatedBytesPerSecond') },
      { name: 'reserved', points: points('reservedBytesPerSecond') },
      { name: 'used', points: points('usedBytesPerSecond') },
    ] as const
    const most = Math.max(1, ...series.flatMap((each) => each.points.map(([, y]) => y)))
    return {
      kind: 'lines',
      title,
      x: { label: 'seconds', marks: marksUpTo(Math.max(1, this.seconds)) },
      y: { label: 'MB/s', marks: marksUpTo(most) },
      series,
    }
  }
}

/** Marks at whole numbers, from 0 to the first one not below `most`. */
function marksUpTo(most: number): { at: number; text: string }[] {
  const step = Math.max(1, Math.ceil(most / (MARKS - 1)))
  return Array.from({ length: MARKS }, (_, index) => ({ at: index * step, text: String(index * step) }))
}
