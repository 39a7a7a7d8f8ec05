import { type Fleet, NodeRank, type Plan } from '../../../controller/packing/packing.ts'
import type { Share } from '../../../controller/records/job.ts'
import { noLoad } from '../../../controller/scaling/policy.ts'
import type { Balanced } from '../../../controller/scaling/rebalance.ts'
import type { JobMemory } from '../../../controller/scaling/resize-policy.ts'
import {
  add,
  type NodeClass,
  nothing,
  type ResourceVector,
  subtract,
  sum,
} from '../../../controller/sizing/node-class.ts'
import type { Sizing } from '../../../controller/sizing/rightsizing.ts'
import { PULL_BYTES_PER_SECOND } from '../../../storage-node/limits.ts'
import type { Part, Running } from './play.ts'
import type { SimulatedJob } from './workload.ts'

export interface SimulatedNode {
  readonly startedAt: number
  draining: boolean
  /** The second in which its last departing byte has left, and the RAM that is counted until then. */
  emptyAt: number
  leavingRamBytes: number
}

export interface PlacedJob {
  readonly job: SimulatedJob
  sizing: Pick<Sizing, 'demand' | 'reasons'>
  shares: readonly Share[]
  /** Derived from `shares`. */
  parts: readonly Part[]
  ramBytes: number
  memory: JobMemory
  refusedRounds: number
  peak: { bytes: number; bytesPerSecond: number }
  bytes: number
}

/** The nodes of a simulated fleet, the jobs on them and the reservations of each job. */
export class FleetState {
  readonly counts = {
    started: 0,
    scaledOut: 0,
    scaledIn: 0,
    moves: 0,
    movedGb: 0,
    resized: 0,
    refused: 0,
    cold: 0,
  }
  readonly nodes = new Map<string, SimulatedNode>()
  readonly reserved = new Map<string, ResourceVector>()
  readonly jobs = new Map<string, PlacedJob>()
  /** The current second. */
  now = 0
  readonly #class: NodeClass
  readonly #capacity: ResourceVector
  #mix: ResourceVector = nothing
  #ids = 0

  constructor(nodeClass: NodeClass, capacity: ResourceVector) {
    this.#class = nodeClass
    this.#capacity = capacity
  }

  fleet(): Fleet {
    const spares = [...this.nodes].flatMap(([node, { draining, startedAt }]) => {
      const rank = startedAt < this.now ? NodeRank.serves : NodeRank.starts
      return draining ? [] : [{ node, capacity: this.#capacity, rank, ...this.spare(node) }]
    })
    const nodes = this.#class.nodesMax - this.nodes.size
    return { spares, rooms: [{ nodeClass: this.#class, capacity: this.#capacity, nodes }], mix: this.#mix }
  }

  /** The fleet on which the jobs of a drained node may be placed, so that one node fewer is in use. */
  busyFleet(): Fleet {
    const fleet = this.fleet()
    return { ...fleet, spares: fleet.spares.filter(({ node }) => this.reserved.has(node)), rooms: [] }
  }

  spare(node: string): ResourceVector {
    return subtract(this.#capacity, this.reserved.get(node) ?? nothing)
  }

  open(): string[] {
    return [...this.nodes].flatMap(([node, { draining }]) => (draining ? [] : [node]))
  }

  start(started: Plan['started']): void {
    for (const { node } of started)
      this.nodes.set(node, { startedAt: this.now, draining: false, emptyAt: 0, leavingRamBytes: 0 })
    this.counts.started += started.length
  }

  /** Bytes leave a node one part after another. Until the last part has left, the node exists and is counted. */
  leave(from: string, { held, share, part }: { held: PlacedJob; share: Share; part: number }): void {
    const node = this.nodes.get(from)
    if (node === undefined) return
    const onNode = held.bytes * (share.ramBytes / part / sum(held.shares).ramBytes)
    this.counts.movedGb += (onNode * part) / 1e9
    node.emptyAt = Math.max(node.emptyAt, this.now) + Math.ceil((onNode * part) / PULL_BYTES_PER_SECOND)
    node.leavingRamBytes += share.ramBytes
  }

  /** Replaces the shares of a job. */
  share(id: string, shares: readonly Share[]): void {
    const held = this.require(id)
    for (const share of held.shares) {
      const rest = subtract(this.reserved.get(share.node) ?? nothing, share)
      if (rest.ramBytes > 0) this.reserved.set(share.node, rest)
      else this.reserved.delete(share.node)
    }
    for (const share of shares) {
      this.reserved.set(share.node, add(this.reserved.get(share.node) ?? nothing, share))
    }
    this.#mix = add(subtract(this.#mix, sum(held.shares)), sum(shares))
    held.shares = shares
    held.ramBytes = sum(shares).ramBytes
    held.parts = shares.map(({ node, ramBytes, bytesPerSecond }) => {
      return { node, part: ramBytes / held.ramBytes, bytesPerSecond }
    })
  }

  balanced(busy: readonly string[], running: ReadonlyMap<string, Running>): Balanced[] {
    const partsOn = new Map<string, Balanced['jobs'][number][]>()
    for (const { job, bytes, bytesPerSecond } of running.values()) {
      const { shares } = this.require(job.id)
      const ramBytes = sum(shares).ramBytes
      for (const share of shares) {
        const part = share.ramBytes / ramBytes
        const network = (bytesPerSecond * part) / this.#class.bytesPerSecond
        const load = { ...noLoad, network, ram: (bytes * part) / this.#class.ramBytes }
        const parts = partsOn.get(share.node) ?? []
        partsOn.set(share.node, [...parts, { job: job.id, load, share, movable: true }])
      }
    }
    return busy.map((node) => ({ node, spare: this.spare(node), jobs: partsOn.get(node) ?? [] }))
  }

  bytesByNode(running: ReadonlyMap<string, Running>): Map<string, number> {
    const held = new Map<string, number>()
    for (const { job, bytes } of running.values()) {
      const { shares, ramBytes } = this.require(job.id)
      for (const share of shares)
        held.set(share.node, (held.get(share.node) ?? 0) + (bytes * share.ramBytes) / ramBytes)
    }
    return held
  }

  readonly newNode = (): string => `n-${++this.#ids}`

  require(id: string): PlacedJob {
    const held = this.jobs.get(id)
    if (held === undefined) throw new Error(`there is no job ${id}`)
    return held
  }
}
