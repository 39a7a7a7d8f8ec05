import { Arrivals } from '../../../controller/arrivals.ts'
import {
  BAND_HIGH,
  type ClassMemory,
  decide,
  fullestOf,
  noLoad,
  noMemory,
} from '../../../controller/autoscaling.ts'
import { keptOf, mergeShares, type Share } from '../../../controller/job.ts'
import {
  add,
  type NodeClass,
  nothing,
  type ResourceVector,
  subtract,
  sum,
} from '../../../controller/node-class.ts'
import { type JobMemory, newJob, outgrow } from '../../../controller/outgrowth.ts'
import { type Fleet, NodeRank, type Plan, packAll } from '../../../controller/packing.ts'
import { type Balanced, planMoves } from '../../../controller/rebalance.ts'
import { resizeShares } from '../../../controller/resize-shares.ts'
import { type Hints, rightsize, type Sizing } from '../../../controller/rightsizing.ts'
import { Runs } from '../../../controller/runs.ts'
import { defaultTraits } from '../../../controller/tiers.ts'
import { balanceWarm, nodesExpected } from '../../../controller/warm-nodes.ts'
import { EXPECTED_ROUNDS, GROWTH_RETRY_ROUNDS, SCALE_IN_TRIES_MAX } from '../../../protocol/limits.ts'
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
}

interface Held {
  readonly job: SimulatedJob
  sizing: Pick<Sizing, 'demand' | 'reasons'>
  shares: readonly Share[]
  memory: JobMemory
  refusedRounds: number
  peak: { bytes: number; bytesPerSecond: number }
}

/**
 * A fleet that is run by the code of the controller: rightsizing from history, packing, growth, the band, moves, and the
 * nodes that are kept ready. Only time and the nodes are played: what leaves a node has left by the next second.
 */
export class MayflyPolicy implements Policy {
  readonly decisionMs: number[] = []
  readonly counts = { started: 0, scaledOut: 0, scaledIn: 0, moves: 0, grown: 0, refused: 0, cold: 0 }
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
    const sizing = this.#size(job.name, noHints)
    const plan = this.#timed(() => packAll([sizing.demand], this.#fleet(), this.#newNode))
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
      memory: newJob,
      refusedRounds: 0,
      peak: { bytes: 0, bytesPerSecond: 0 },
    })
    this.#share(job.id, shares)
    this.#arrivals.registered(job.name, second * 1000, noHints)
    if (plan.started.length > 0) this.counts.cold++
    return plan.started.length > 0 ? START_SECONDS : REGISTER_SECONDS
  }

  end({ job }: Running): void {
    const held = this.#require(job.id)
    this.#runs.add({ job: job.id, name: job.name, endedAtMs: this.#second * 1000, peak: held.peak })
    this.#share(job.id, [])
    this.#jobs.delete(job.id)
  }

  partsOf(job: SimulatedJob): readonly Part[] {
    const { shares } = this.#require(job.id)
    const ramBytes = shares.reduce((total, share) => total + keptOf(share).ramBytes, 0)
    return shares.map((share) => ({
      node: share.node,
      part: keptOf(share).ramBytes / ramBytes,
      bytesPerSecond: share.bytesPerSecond,
    }))
  }

  bytesMaxOf(job: SimulatedJob): number {
    return sum(this.#require(job.id).shares).ramBytes
  }

  second(second: number, running: ReadonlyMap<string, Running>, loads: ReadonlyMap<string, number>): void {
    this.#second = second
    for (const each of running.values()) this.#look(each)
    this.#scale(running, loads)
    if (second % EXPECTED_ROUNDS === 0) this.#expect()
    this.#balance()
  }

  price() {
    const held = sum(this.#reserved.values())
    return {
      nodes: this.#nodes.size,
      perHour: this.#nodes.size * this.#class.pricePerHour,
      reservedPerHour: pricePerHour({
        nodes: held.bytesPerSecond / this.#class.bytesPerSecond,
        ramGb: held.ramBytes / 1e9,
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

  /** A job grows with its use, and gives back what it had grown by. */
  #look({ job, bytes, bytesPerSecond }: Running): void {
    const held = this.#require(job.id)
    held.peak = {
      bytes: Math.max(held.peak.bytes, Math.round(bytes)),
      bytesPerSecond: Math.max(held.peak.bytesPerSecond, Math.round(bytesPerSecond)),
    }
    if (held.refusedRounds-- > 0) return
    const own = held.shares.map(({ node, bytesPerSecond: has }) => has + this.#spare(node).bytesPerSecond)
    const { memory, resized } = outgrow(held.memory, {
      hints: noHints,
      ...held.sizing,
      reserved: sum(held.shares),
      base: () => this.#size(job.name, noHints).demand,
      use: { bytes: Math.round(bytes), bytesPerSecond: Math.round(bytesPerSecond) },
      bytesPerSecondMax: own.reduce((total, has) => total + has, 0),
    })
    held.memory = memory
    if (resized === null) return
    const to = this.#timed(() =>
      resizeShares({ open: held.shares, demand: resized.demand }, this.#fleet(), this.#newNode),
    )
    if (to === null) {
      held.refusedRounds = GROWTH_RETRY_ROUNDS
      return
    }
    this.counts.grown++
    this.#start(to.started)
    held.sizing = resized
    this.#share(job.id, to.shares)
  }

  #scale(running: ReadonlyMap<string, Running>, loads: ReadonlyMap<string, number>): void {
    const busy = [...this.#nodes.keys()].filter((node) => this.#reserved.has(node))
    const idle = [...this.#nodes.keys()].filter((node) => !this.#reserved.has(node))
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
        unsettled: false,
      }),
    )
    this.#memory = memory
    if (decision.kind === 'add') {
      const fresh = Array.from({ length: Math.max(0, decision.nodes - idle.length) }, this.#newNode)
      const takers = [...idle.slice(0, decision.nodes), ...fresh]
      const empty = takers.map((node) => ({ node, spare: this.#capacity, jobs: [] }))
      this.counts.scaledOut++
      this.#move([...this.#balanced(busy, running), ...empty])
    } else if (decision.kind === 'remove') this.#drain(busy, networkOf)
    else if (
      this.#second % EVEN_ROUNDS === 0 &&
      busy.some((node) => fullestOf(loadOf(node)).load > BAND_HIGH)
    ) {
      this.#move(this.#balanced(busy, running))
    }
  }

  #move(nodes: readonly Balanced[]): void {
    const moves = this.#timed(() => planMoves(nodes))
    for (const { job, from, to, part } of moves) {
      const held = this.#require(job)
      const share = held.shares.find(({ node }) => node === from)
      if (share === undefined) continue
      if (!this.#nodes.has(to)) this.#start([{ node: to, nodeClass: this.#class }])
      const kept = { node: from, ...keptOf({ ...share, leaving: part }) }
      const others = held.shares.filter((each) => each !== share)
      const moved = { node: to, ...subtract(share, kept) }
      this.#share(job, mergeShares([...(part === 1 ? [] : [kept]), ...others, moved]))
      this.counts.moves++
    }
  }

  /** Drains the emptiest node that the others have room for. */
  #drain(busy: readonly string[], networkOf: (node: string) => number): void {
    const emptiest = [...busy].sort((a, b) => networkOf(a) - networkOf(b)).slice(0, SCALE_IN_TRIES_MAX)
    for (const node of emptiest) {
      const leaving = [...this.#jobs.values()].flatMap(({ job, shares }) =>
        shares.filter((share) => share.node === node).map((share) => ({ id: job.id, share })),
      )
      leaving.sort((a, b) => b.share.ramBytes - a.share.ramBytes)
      const known = this.#nodes.get(node)
      if (known === undefined) continue
      known.draining = true
      const fleet = { ...this.#fleet(), rooms: [] }
      const plan = this.#timed(() =>
        packAll(
          leaving.map(({ share }) => share),
          fleet,
          this.#newNode,
        ),
      )
      if ('shortage' in plan) {
        known.draining = false
        continue
      }
      this.counts.scaledIn++
      for (const [index, { id }] of leaving.entries()) {
        const others = this.#require(id).shares.filter((share) => share.node !== node)
        this.#share(id, mergeShares([...others, ...(plan.shares[index] ?? [])]))
      }
      this.#nodes.delete(node)
      return
    }
  }

  #expect(): void {
    const demands = this.#arrivals
      .expected(this.#second * 1000)
      .map(({ name, hints }) => this.#size(name, hints).demand)
    const { kept, started } = nodesExpected(demands, this.#fleet(), this.#newNode)
    this.#expected = kept
    this.#start(started)
  }

  #balance(): void {
    const { stop, start } = balanceWarm({
      open: [...this.#nodes.keys()],
      reserved: new Set(this.#reserved.keys()),
      warmNodes: WARM_NODES,
      room: this.#class.nodesMax - this.#nodes.size,
      expected: this.#expected,
    })
    for (const node of stop) this.#nodes.delete(node)
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
      for (const { node, part } of this.partsOf(job)) held.set(node, (held.get(node) ?? 0) + bytes * part)
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

  #spare(node: string): ResourceVector {
    return subtract(this.#capacity, this.#reserved.get(node) ?? nothing)
  }

  #start(started: Plan['started']): void {
    for (const { node } of started) this.#nodes.set(node, { startedAt: this.#second, draining: false })
    this.counts.started += started.length
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
