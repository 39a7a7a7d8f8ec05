import { balanceWarm, nodesExpected } from '../../../controller/nodes/warm-nodes.ts'
import { type Fleet, NodeRank, type Plan, packAll } from '../../../controller/packing/packing.ts'
import { resizeShares } from '../../../controller/placement/resize-shares.ts'
import { keptOf, mergeShares, type Share } from '../../../controller/records/job.ts'
import {
  BAND_HIGH,
  type ClassMemory,
  decide,
  fullestOf,
  noLoad,
  noMemory,
} from '../../../controller/scaling/policy.ts'
import { type Balanced, planMoves } from '../../../controller/scaling/rebalance.ts'
import { decideResize, type JobMemory, newJob } from '../../../controller/scaling/resize-policy.ts'
import { Arrivals } from '../../../controller/sizing/arrivals.ts'
import {
  add,
  type NodeClass,
  nothing,
  type ResourceVector,
  subtract,
  sum,
} from '../../../controller/sizing/node-class.ts'
import { type Hints, rightsize, type Sizing } from '../../../controller/sizing/rightsizing.ts'
import { Runs } from '../../../controller/sizing/runs.ts'
import { defaultTraits } from '../../../controller/sizing/tier-traits.ts'
import {
  EXPECTED_ROUNDS,
  GROWTH_RETRY_ROUNDS,
  PULL_BYTES_PER_SECOND,
  SCALE_IN_TRIES_MAX,
} from '../../../protocol/limits.ts'
import type { Part, Policy, Running } from './play.ts'
import { POCKET_NODE, pricePerHour } from './prices.ts'
import type { SimulatedJob } from './workload.ts'

/** From a registration that needs a new process to its first report, and from one that does not; measured with `mayfly up`. */
const START_SECONDS = 0.5
const REGISTER_SECONDS = 0.05
const EVEN_ROUNDS = 10
const WARM_NODES = 1
/** Nobody says anything of a job: its name's history has to do. */
const noHints: Hints = {}

interface Node {
  readonly startedAt: number
  draining: boolean
  /** When all that leaves it has left, and what of its bytes is counted until then. */
  emptyAt: number
  leavingRamBytes: number
}

interface Held {
  readonly job: SimulatedJob
  sizing: Pick<Sizing, 'demand' | 'reasons'>
  shares: readonly Share[]
  /** What follows from its shares. */
  parts: readonly Part[]
  ramBytes: number
  memory: JobMemory
  refusedRounds: number
  peak: { bytes: number; bytesPerSecond: number }
  bytes: number
}

/**
 * A fleet that is run by the code of the controller: rightsizing from history, packing, growth, the band, moves, and the
 * nodes that are kept ready. Only time and the nodes are played: the traffic of what moves goes to its new node at once, while
 * the bytes follow at the pace of a node's pulls, and the old one is paid for until they have left.
 */
export class MayflyPolicy implements Policy {
  /** How long each decision took, and those of them that a job waits for. */
  readonly decisionMs: number[] = []
  readonly registrationMs: number[] = []
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
  readonly #class: NodeClass
  readonly #capacity: ResourceVector
  readonly #nodes = new Map<string, Node>()
  readonly #reserved = new Map<string, ResourceVector>()
  readonly #jobs = new Map<string, Held>()
  readonly #runs = new Runs()
  readonly #arrivals = new Arrivals()
  #mix: ResourceVector = nothing
  #memory: ClassMemory = noMemory
  #expected: ReadonlySet<string> = new Set()
  /** What each node moved in the last second. */
  #loads: ReadonlyMap<string, number> = new Map()
  #ids = 0
  #second = 0

  constructor(nodesMax: number) {
    const { cores, ramGb, bytesPerSecond, price } = POCKET_NODE
    const ramBytes = ramGb * 1e9
    this.#class = { name: 'i3', cores, ramBytes, ssdBytes: 0, bytesPerSecond, pricePerHour: price, nodesMax }
    this.#capacity = { ...nothing, ramBytes, bytesPerSecond }
  }

  register(job: SimulatedJob, second: number): number | null {
    this.#second = second
    const { sizing, plan } = this.#timed(() => {
      const sizing = this.#size(job.name, noHints)
      return { sizing, plan: packAll([sizing.demand], this.#fleet(), this.#newNode) }
    })
    this.registrationMs.push(this.decisionMs.at(-1) ?? 0)
    if ('shortage' in plan) {
      this.counts.refused++
      return null
    }
    this.#start(plan.started)
    const shares = plan.shares.flat()
    this.#jobs.set(job.id, {
      job,
      sizing,
      shares: [],
      parts: [],
      ramBytes: 0,
      memory: newJob,
      refusedRounds: 0,
      peak: { bytes: 0, bytesPerSecond: 0 },
      bytes: 0,
    })
    this.#share(job.id, shares)
    this.#arrivals.registered(job.name, second * 1000, noHints)
    if (plan.started.length > 0) this.counts.cold++
    return plan.started.length > 0 ? START_SECONDS : REGISTER_SECONDS
  }

  end({ job }: Running): void {
    const held = this.#require(job.id)
    this.#runs.add({
      job: job.id,
      name: job.name,
      endedAtMs: this.#second * 1000,
      peak: held.peak,
      reads: null,
    })
    this.#share(job.id, [])
    this.#jobs.delete(job.id)
  }

  partsOf(job: SimulatedJob): readonly Part[] {
    return this.#require(job.id).parts
  }

  bytesMaxOf(job: SimulatedJob): number {
    return this.#require(job.id).ramBytes
  }

  second(second: number, running: ReadonlyMap<string, Running>, loads: ReadonlyMap<string, number>): void {
    this.#second = second
    this.#loads = loads
    for (const [id, node] of this.#nodes) {
      if (node.emptyAt > second) continue
      node.leavingRamBytes = 0
      if (node.draining) this.#nodes.delete(id)
    }
    for (const each of running.values()) this.#look(each)
    this.#scale(running, loads)
    if (second % EXPECTED_ROUNDS === 0) this.#expect()
    this.#balance()
  }

  price() {
    // What a node moves beyond what is reserved on it is not free of charge.
    const [served, ramBytes] = [...this.#nodes].reduce(
      ([rate, ram], [node, { leavingRamBytes }]) => {
        const held = this.#reserved.get(node) ?? nothing
        const moved = this.#loads.get(node) ?? 0
        return [rate + Math.max(held.bytesPerSecond, moved), ram + held.ramBytes + leavingRamBytes]
      },
      [0, 0],
    )
    return {
      nodes: this.#nodes.size,
      perHour: this.#nodes.size * this.#class.pricePerHour,
      reservedPerHour: pricePerHour({
        nodes: served / this.#class.bytesPerSecond,
        ramGb: ramBytes / 1e9,
      }),
    }
  }

  #size(name: string, hints: Hints): Sizing {
    return rightsize(hints, {
      nodeClass: this.#class,
      classes: [this.#class],
      traits: defaultTraits,
      served: new Set(['ram']),
      learned: this.#runs.learn(name),
    })
  }

  /** A job grows with its use, and gives back what it does not use. */
  #look({ job, bytes, bytesPerSecond }: Running): void {
    const held = this.#require(job.id)
    held.bytes = bytes
    held.peak = {
      bytes: Math.max(held.peak.bytes, Math.round(bytes)),
      bytesPerSecond: Math.max(held.peak.bytesPerSecond, Math.round(bytesPerSecond)),
    }
    if (held.refusedRounds-- > 0) return
    const { memory, resized } = decideResize(held.memory, {
      hints: noHints,
      ...held.sizing,
      reserved: sum(held.shares),
      peak: held.peak,
      use: { bytes: Math.round(bytes), bytesPerSecond: Math.round(bytesPerSecond) },
      bytesPerSecondMax: () =>
        held.shares.reduce(
          (total, share) => total + share.bytesPerSecond + this.#spare(share.node).bytesPerSecond,
          0,
        ),
    })
    held.memory = memory
    if (resized === null) return
    const to = this.#timed(() =>
      resizeShares({ open: held.shares, demand: resized.demand }, () => this.#fleet(), this.#newNode),
    )
    if (to === null) {
      held.refusedRounds = GROWTH_RETRY_ROUNDS
      return
    }
    this.counts.resized++
    this.#start(to.started)
    held.sizing = resized
    this.#share(job.id, to.shares)
  }

  #scale(running: ReadonlyMap<string, Running>, loads: ReadonlyMap<string, number>): void {
    const open = this.#open()
    const busy = open.filter((node) => this.#reserved.has(node))
    const idle = open.filter((node) => !this.#reserved.has(node))
    const networkOf = (node: string): number => (loads.get(node) ?? 0) / this.#class.bytesPerSecond
    const held = this.#bytesByNode(running)
    const loadOf = (node: string) => ({
      ...noLoad,
      network: networkOf(node),
      ram: (held.get(node) ?? 0) / this.#class.ramBytes,
    })
    const { memory, decision } = this.#timed(() =>
      decide(this.#memory, {
        loads: busy.map(loadOf),
        idle: idle.length,
        room: this.#class.nodesMax - this.#nodes.size,
        unsettled: this.#nodes.size > open.length,
      }),
    )
    this.#memory = memory
    if (decision.kind === 'add') {
      const fresh = Array.from({ length: Math.max(0, decision.nodes - idle.length) }, this.#newNode)
      const takers = [...idle.slice(0, decision.nodes), ...fresh]
      const empty = takers.map((node) => ({ node, spare: this.#capacity, jobs: [] }))
      this.counts.scaledOut++
      this.#move([...this.#balanced(busy, running), ...empty])
    } else if (decision.kind === 'remove')
      this.#drain(busy, decision.nodes, (node) => fullestOf(loadOf(node)).load)
    else if (
      this.#second % EVEN_ROUNDS === 0 &&
      busy.some((node) => fullestOf(loadOf(node)).load > BAND_HIGH)
    ) {
      this.#move(this.#balanced(busy, running), BAND_HIGH)
    }
  }

  #move(nodes: readonly Balanced[], above?: number): void {
    const moves = this.#timed(() => planMoves(nodes, above))
    for (const { job, from, to, part } of moves) {
      const held = this.#require(job)
      const share = held.shares.find(({ node }) => node === from)
      if (share === undefined) continue
      if (!this.#nodes.has(to)) this.#start([{ node: to, nodeClass: this.#class }])
      const kept = { node: from, ...keptOf({ ...share, leaving: part }) }
      const others = held.shares.filter((each) => each !== share)
      const moved = { node: to, ...subtract(share, kept) }
      this.#leave(from, { held, share: moved, part: moved.ramBytes / share.ramBytes })
      this.#share(job, mergeShares([...(part === 1 ? [] : [kept]), ...others, moved]))
      this.counts.moves++
    }
  }

  /** Drains the emptiest nodes that the others have room for. */
  #drain(busy: readonly string[], count: number, fullness: (node: string) => number): void {
    const emptiest = busy
      .map((node) => ({ node, load: fullness(node) }))
      .sort((a, b) => a.load - b.load)
      .slice(0, count + SCALE_IN_TRIES_MAX)
    let begun = 0
    for (const { node } of emptiest) {
      if (begun === count) return
      const known = this.#nodes.get(node)
      if (known === undefined) continue
      known.draining = true
      const { leaving, plan } = this.#timed(() => {
        const leaving = [...this.#jobs.values()].flatMap(({ job, shares }) =>
          shares.filter((share) => share.node === node).map((share) => ({ id: job.id, share })),
        )
        leaving.sort((a, b) => b.share.ramBytes - a.share.ramBytes)
        const demands = leaving.map(({ share }) => share)
        return { leaving, plan: packAll(demands, this.#busyFleet(), this.#newNode) }
      })
      if ('shortage' in plan) {
        known.draining = false
        continue
      }
      begun++
      this.counts.scaledIn++
      for (const [index, { id }] of leaving.entries()) {
        const held = this.#require(id)
        const others = held.shares.filter((share) => share.node !== node)
        const share = leaving[index]?.share
        if (share !== undefined) this.#leave(node, { held, share, part: 1 })
        this.#share(id, mergeShares([...others, ...(plan.shares[index] ?? [])]))
      }
    }
  }

  #expect(): void {
    const demands = this.#arrivals
      .expected(this.#second * 1000, new Set([...this.#jobs.values()].map(({ job }) => job.name)))
      .map(({ name, hints }) => this.#size(name, hints).demand)
    const { kept, started } = nodesExpected(demands, this.#fleet(), this.#newNode)
    this.#expected = kept
    this.#start(started)
  }

  #balance(): void {
    const { stop, start } = balanceWarm({
      open: this.#open(),
      reserved: new Set(this.#reserved.keys()),
      warmNodes: WARM_NODES,
      room: this.#class.nodesMax - this.#nodes.size,
      expected: this.#expected,
    })
    for (const node of stop) {
      const known = this.#nodes.get(node)
      if (known !== undefined) known.draining = true
    }
    for (let count = 0; count < start; count++)
      this.#start([{ node: this.#newNode(), nodeClass: this.#class }])
  }

  #balanced(busy: readonly string[], running: ReadonlyMap<string, Running>): Balanced[] {
    const partsOn = new Map<string, Balanced['jobs'][number][]>()
    for (const { job, bytes, bytesPerSecond } of running.values()) {
      const { shares } = this.#require(job.id)
      const ramBytes = sum(shares).ramBytes
      for (const share of shares) {
        const part = share.ramBytes / ramBytes
        const network = (bytesPerSecond * part) / this.#class.bytesPerSecond
        const load = { ...noLoad, network, ram: (bytes * part) / this.#class.ramBytes }
        const parts = partsOn.get(share.node) ?? []
        partsOn.set(share.node, [...parts, { job: job.id, load, share, movable: true }])
      }
    }
    return busy.map((node) => ({ node, spare: this.#spare(node), jobs: partsOn.get(node) ?? [] }))
  }

  #bytesByNode(running: ReadonlyMap<string, Running>): Map<string, number> {
    const held = new Map<string, number>()
    for (const { job, bytes } of running.values()) {
      const { shares, ramBytes } = this.#require(job.id)
      for (const share of shares)
        held.set(share.node, (held.get(share.node) ?? 0) + (bytes * share.ramBytes) / ramBytes)
    }
    return held
  }

  #fleet(): Fleet {
    const spares = [...this.#nodes].flatMap(([node, { draining, startedAt }]) => {
      const rank = startedAt < this.#second ? NodeRank.serves : NodeRank.starts
      return draining ? [] : [{ node, capacity: this.#capacity, rank, ...this.#spare(node) }]
    })
    const nodes = this.#class.nodesMax - this.#nodes.size
    return { spares, rooms: [{ nodeClass: this.#class, capacity: this.#capacity, nodes }], mix: this.#mix }
  }

  /** Where the jobs of a node that is drained may go, so that one node fewer is in use. */
  #busyFleet(): Fleet {
    const fleet = this.#fleet()
    return { ...fleet, spares: fleet.spares.filter(({ node }) => this.#reserved.has(node)), rooms: [] }
  }

  #spare(node: string): ResourceVector {
    return subtract(this.#capacity, this.#reserved.get(node) ?? nothing)
  }

  #start(started: Plan['started']): void {
    for (const { node } of started)
      this.#nodes.set(node, { startedAt: this.#second, draining: false, emptyAt: 0, leavingRamBytes: 0 })
    this.counts.started += started.length
  }

  /** Bytes that leave a node are pulled one after another; until the last has left, it is there and counted. */
  #leave(from: string, { held, share, part }: { held: Held; share: Share; part: number }): void {
    const node = this.#nodes.get(from)
    if (node === undefined) return
    const onNode = held.bytes * (share.ramBytes / part / sum(held.shares).ramBytes)
    this.counts.movedGb += (onNode * part) / 1e9
    node.emptyAt = Math.max(node.emptyAt, this.#second) + Math.ceil((onNode * part) / PULL_BYTES_PER_SECOND)
    node.leavingRamBytes += share.ramBytes
  }

  #open(): string[] {
    return [...this.#nodes].flatMap(([node, { draining }]) => (draining ? [] : [node]))
  }

  /** Books other shares of a job. */
  #share(id: string, shares: readonly Share[]): void {
    const held = this.#require(id)
    for (const share of held.shares) {
      const rest = subtract(this.#reserved.get(share.node) ?? nothing, share)
      if (rest.ramBytes > 0) this.#reserved.set(share.node, rest)
      else this.#reserved.delete(share.node)
    }
    for (const share of shares) {
      this.#reserved.set(share.node, add(this.#reserved.get(share.node) ?? nothing, share))
    }
    this.#mix = add(subtract(this.#mix, sum(held.shares)), sum(shares))
    held.shares = shares
    held.ramBytes = sum(shares).ramBytes
    held.parts = shares.map(({ node, ramBytes, bytesPerSecond }) => {
      return { node, part: ramBytes / held.ramBytes, bytesPerSecond }
    })
  }

  readonly #newNode = (): string => `n-${++this.#ids}`

  #require(id: string): Held {
    const held = this.#jobs.get(id)
    if (held === undefined) throw new Error(`there is no job ${id}`)
    return held
  }

  #timed<T>(decision: () => T): T {
    const began = performance.now()
    const result = decision()
    this.decisionMs.push(performance.now() - began)
    return result
  }
}
