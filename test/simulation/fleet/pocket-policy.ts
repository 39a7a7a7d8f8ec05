import type { Part, Policy, Running } from './play.ts'
import { POCKET_NODE, pricePerHour } from './prices.ts'
import type { SimulatedJob } from './workload.ts'

/** From a registration to new capacity on warm machines: 4 to 5 s (OSDI'18, section 6.4). */
const START_SECONDS = 4.5
const BAND_HIGH = 0.8

interface Placed {
  readonly parts: readonly Part[]
  readonly flashBytes: number
  readonly bytesPerSecond: number
}

/**
 * Pocket as its paper describes it (OSDI'18, section 4). Each job hints its throughput and capacity, here exactly what it will need at its peak, and holds that
 * during its life. Jobs fill active nodes one after another, and new ones are started for the rest. Above the band of 60 to 80 % a node is added, which only
 * new jobs use. Nothing migrates, so a node is removed when its last job has ended. Nodes have flash, of which no job needs more than comes with its
 * throughput.
 */
export class PocketPolicy implements Policy {
  readonly #nodesMax: number
  /** What is reserved on each node. */
  readonly #nodes = new Map<string, number>()
  readonly #jobs = new Map<string, Placed>()
  #ids = 0

  constructor(nodesMax: number) {
    this.#nodesMax = nodesMax
  }

  register({ id, profile }: SimulatedJob): number | null {
    const { peakBytesPerSecond: whole, dataBytes } = profile
    const free = [...this.#nodes.values()].reduce((sum, held) => sum + POCKET_NODE.bytesPerSecond - held, 0)
    const missing = Math.max(0, Math.ceil((whole - free) / POCKET_NODE.bytesPerSecond))
    if (this.#nodes.size + missing > this.#nodesMax) return null
    for (let count = 0; count < missing; count++) this.#nodes.set(`p-${++this.#ids}`, 0)
    const parts: Part[] = []
    let rest = whole
    for (const [node, held] of this.#nodes) {
      const bytesPerSecond = Math.min(rest, POCKET_NODE.bytesPerSecond - held)
      if (bytesPerSecond <= 0) continue
      this.#nodes.set(node, held + bytesPerSecond)
      parts.push({ node, part: bytesPerSecond / whole, bytesPerSecond: 0 })
      rest -= bytesPerSecond
    }
    this.#jobs.set(id, { parts, flashBytes: dataBytes, bytesPerSecond: whole })
    return missing > 0 ? START_SECONDS : 0
  }

  end({ job }: Running): void {
    const placed = this.#jobs.get(job.id)
    this.#jobs.delete(job.id)
    for (const { node, part } of placed?.parts ?? []) {
      const left = (this.#nodes.get(node) ?? 0) - part * (placed?.bytesPerSecond ?? 0)
      // A remainder below a millionth of a node is a rounding error.
      this.#nodes.set(node, left < 1e3 ? 0 : left)
    }
  }

  partsOf({ id }: SimulatedJob): readonly Part[] {
    return this.#jobs.get(id)?.parts ?? []
  }

  bytesMaxOf(): number {
    return Number.POSITIVE_INFINITY
  }

  second(_second: number, _running: unknown, loads: ReadonlyMap<string, number>): void {
    const moved = [...loads.values()].reduce((sum, load) => sum + load, 0)
    const capacity = this.#nodes.size * POCKET_NODE.bytesPerSecond
    if (moved > BAND_HIGH * capacity) {
      if (this.#nodes.size < this.#nodesMax) this.#nodes.set(`p-${++this.#ids}`, 0)
      return
    }
    for (const [node, held] of this.#nodes) if (held === 0) this.#nodes.delete(node)
  }

  price() {
    const placed = [...this.#jobs.values()]
    const reserved = placed.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0)
    const flash = placed.reduce((sum, { flashBytes }) => sum + flashBytes, 0)
    return {
      nodes: this.#nodes.size,
      perHour: this.#nodes.size * POCKET_NODE.price,
      reservedPerHour: pricePerHour({ nodes: reserved / POCKET_NODE.bytesPerSecond, flashGb: flash / 1e9 }),
    }
  }
}
