import { EXPECTED_ROUNDS, GROWTH_RETRY_ROUNDS, SCALE_IN_TRIES_MAX } from '../../../controller/limits.ts'
import { planExpectedNodes, planWarmNodes } from '../../../controller/nodes/warm-nodes.ts'
import { packAll } from '../../../controller/packing/packing.ts'
import { resizeShares } from '../../../controller/placement/resize-shares.ts'
import { mergeShares, remainderOf } from '../../../controller/records/job.ts'
import {
  BAND_HIGH,
  type ClassMemory,
  decide,
  fullestOf,
  noLoad,
  noMemory,
} from '../../../controller/scaling/policy.ts'
import { type Balanced, planMoves } from '../../../controller/scaling/rebalance.ts'
import { decideResize, newJob } from '../../../controller/scaling/resize-policy.ts'
import { Arrivals } from '../../../controller/sizing/arrivals.ts'
import {
  type NodeClass,
  nothing,
  type ResourceVector,
  subtract,
  sum,
} from '../../../controller/sizing/node-class.ts'
import { type Hints, rightsize, type Sizing } from '../../../controller/sizing/rightsizing.ts'
import { Runs } from '../../../controller/sizing/runs.ts'
import { defaultTraits } from '../../../controller/sizing/tier-traits.ts'
import { FleetState } from './fleet-state.ts'
import type { Part, Policy, Running } from './play.ts'
import { POCKET_NODE, pricePerHour } from './prices.ts'
import type { SimulatedJob } from './workload.ts'

/** From a registration until its capacity serves, with and without a new process; measured with `mayfly up`. */
const START_SECONDS = 0.5
const REGISTER_SECONDS = 0.05
const EVEN_ROUNDS = 10
const WARM_NODES = 1
/** Jobs have no hints, so only the history of their name counts. */
const noHints: Hints = {}

/**
 * A fleet that is run by the controller's code: rightsizing from history, packing, growth, the band, moves, and warm nodes. Only time and the nodes are
 * simulated. The traffic of what moves goes to its new node at once; the bytes follow at the speed of a node's pulls, and the old node is paid for until they
 * have left.
 */
export class MayflyPolicy implements Policy {
  /** The duration of each decision, and of those for which a job waits. */
  readonly decisionMs: number[] = []
  readonly registrationMs: number[] = []
  readonly #class: NodeClass
  readonly #capacity: ResourceVector
  readonly #state: FleetState
  readonly #runs = new Runs()
  readonly #arrivals = new Arrivals()
  #memory: ClassMemory = noMemory
  #expected: ReadonlySet<string> = new Set()
  /** Bytes that each node transferred in the last second. */
  #loads: ReadonlyMap<string, number> = new Map()

  constructor(nodesMax: number) {
    const { cores, ramGb, bytesPerSecond, price } = POCKET_NODE
    const ramBytes = ramGb * 1e9
    this.#class = { name: 'i3', cores, ramBytes, ssdBytes: 0, bytesPerSecond, pricePerHour: price, nodesMax }
    this.#capacity = { ...nothing, ramBytes, bytesPerSecond }
    this.#state = new FleetState(this.#class, this.#capacity)
  }

  get counts(): FleetState['counts'] {
    return this.#state.counts
  }

  register(job: SimulatedJob, second: number): number | null {
    this.#state.now = second
    const { sizing, plan } = this.#timed(() => {
      const sizing = this.#size(job.name, noHints)
      return { sizing, plan: packAll([sizing.demand], this.#state.fleet(), this.#state.newNode) }
    })
    this.registrationMs.push(this.decisionMs.at(-1) ?? 0)
    if ('shortage' in plan) {
      this.#state.counts.refused++
      return null
    }
    this.#state.start(plan.started)
    const shares = plan.shares.flat()
    this.#state.jobs.set(job.id, {
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
    this.#state.share(job.id, shares)
    this.#arrivals.registered(job.name, second * 1000, noHints)
    if (plan.started.length > 0) this.#state.counts.cold++
    return plan.started.length > 0 ? START_SECONDS : REGISTER_SECONDS
  }

  end({ job }: Running): void {
    const held = this.#state.require(job.id)
    this.#runs.add({
      job: job.id,
      name: job.name,
      endedAtMs: this.#state.now * 1000,
      peak: held.peak,
      reads: null,
    })
    this.#state.share(job.id, [])
    this.#state.jobs.delete(job.id)
  }

  partsOf(job: SimulatedJob): readonly Part[] {
    return this.#state.require(job.id).parts
  }

  bytesMaxOf(job: SimulatedJob): number {
    return this.#state.require(job.id).ramBytes
  }

  second(second: number, running: ReadonlyMap<string, Running>, loads: ReadonlyMap<string, number>): void {
    this.#state.now = second
    this.#loads = loads
    for (const [id, node] of this.#state.nodes) {
      if (node.emptyAt > second) continue
      node.leavingRamBytes = 0
      if (node.draining) this.#state.nodes.delete(id)
    }
    for (const each of running.values()) this.#look(each)
    this.#scale(running, loads)
    if (second % EXPECTED_ROUNDS === 0) this.#expect()
    this.#balance()
  }

  price() {
    // The price includes what a node transfers beyond its reservations.
    const [served, ramBytes] = [...this.#state.nodes].reduce(
      ([rate, ram], [node, { leavingRamBytes }]) => {
        const held = this.#state.reserved.get(node) ?? nothing
        const moved = this.#loads.get(node) ?? 0
        return [rate + Math.max(held.bytesPerSecond, moved), ram + held.ramBytes + leavingRamBytes]
      },
      [0, 0],
    )
    return {
      nodes: this.#state.nodes.size,
      perHour: this.#state.nodes.size * this.#class.pricePerHour,
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

  /** A job grows with its usage, and releases what it does not use. */
  #look({ job, bytes, bytesPerSecond }: Running): void {
    const held = this.#state.require(job.id)
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
          (total, share) => total + share.bytesPerSecond + this.#state.spare(share.node).bytesPerSecond,
          0,
        ),
    })
    held.memory = memory
    if (resized === null) return
    const to = this.#timed(() =>
      resizeShares(
        { open: held.shares, demand: resized.demand },
        () => this.#state.fleet(),
        this.#state.newNode,
      ),
    )
    if (to === null) {
      held.refusedRounds = GROWTH_RETRY_ROUNDS
      return
    }
    this.#state.counts.resized++
    this.#state.start(to.started)
    held.sizing = resized
    this.#state.share(job.id, to.shares)
  }

  #scale(running: ReadonlyMap<string, Running>, loads: ReadonlyMap<string, number>): void {
    const open = this.#state.open()
    const busy = open.filter((node) => this.#state.reserved.has(node))
    const idle = open.filter((node) => !this.#state.reserved.has(node))
    const networkOf = (node: string): number => (loads.get(node) ?? 0) / this.#class.bytesPerSecond
    const held = this.#state.bytesByNode(running)
    const loadOf = (node: string) => ({
      ...noLoad,
      network: networkOf(node),
      ram: (held.get(node) ?? 0) / this.#class.ramBytes,
    })
    const { memory, decision } = this.#timed(() =>
      decide(this.#memory, {
        loads: busy.map(loadOf),
        idle: idle.length,
        room: this.#class.nodesMax - this.#state.nodes.size,
        unsettled: this.#state.nodes.size > open.length,
      }),
    )
    this.#memory = memory
    if (decision.kind === 'add') {
      const fresh = Array.from({ length: Math.max(0, decision.nodes - idle.length) }, this.#state.newNode)
      const takers = [...idle.slice(0, decision.nodes), ...fresh]
      const empty = takers.map((node) => ({ node, spare: this.#capacity, jobs: [] }))
      this.#state.counts.scaledOut++
      this.#move([...this.#state.balanced(busy, running), ...empty])
    } else if (decision.kind === 'remove')
      this.#drain(busy, decision.nodes, (node) => fullestOf(loadOf(node)).load)
    else if (
      this.#state.now % EVEN_ROUNDS === 0 &&
      busy.some((node) => fullestOf(loadOf(node)).load > BAND_HIGH)
    ) {
      this.#move(this.#state.balanced(busy, running), BAND_HIGH)
    }
  }

  #move(nodes: readonly Balanced[], above?: number): void {
    const moves = this.#timed(() => planMoves(nodes, above))
    for (const { job, from, to, part } of moves) {
      const held = this.#state.require(job)
      const share = held.shares.find(({ node }) => node === from)
      if (share === undefined) continue
      if (!this.#state.nodes.has(to)) this.#state.start([{ node: to, nodeClass: this.#class }])
      const remaining = { node: from, ...remainderOf({ ...share, leaving: part }) }
      const others = held.shares.filter((each) => each !== share)
      const moved = { node: to, ...subtract(share, remaining) }
      this.#state.leave(from, { held, share: moved, part: moved.ramBytes / share.ramBytes })
      this.#state.share(job, mergeShares([...(part === 1 ? [] : [remaining]), ...others, moved]))
      this.#state.counts.moves++
    }
  }

  /** Drains the emptiest nodes whose data fits on the others. */
  #drain(busy: readonly string[], count: number, fullness: (node: string) => number): void {
    const emptiest = busy
      .map((node) => ({ node, load: fullness(node) }))
      .sort((a, b) => a.load - b.load)
      .slice(0, count + SCALE_IN_TRIES_MAX)
    let begun = 0
    for (const { node } of emptiest) {
      if (begun === count) return
      const known = this.#state.nodes.get(node)
      if (known === undefined) continue
      known.draining = true
      const { leaving, plan } = this.#timed(() => {
        const leaving = [...this.#state.jobs.values()].flatMap(({ job, shares }) =>
          shares.filter((share) => share.node === node).map((share) => ({ id: job.id, share })),
        )
        leaving.sort((a, b) => b.share.ramBytes - a.share.ramBytes)
        const demands = leaving.map(({ share }) => share)
        return { leaving, plan: packAll(demands, this.#state.busyFleet(), this.#state.newNode) }
      })
      if ('shortage' in plan) {
        known.draining = false
        continue
      }
      begun++
      this.#state.counts.scaledIn++
      for (const [index, { id }] of leaving.entries()) {
        const held = this.#state.require(id)
        const others = held.shares.filter((share) => share.node !== node)
        const share = leaving[index]?.share
        if (share !== undefined) this.#state.leave(node, { held, share, part: 1 })
        this.#state.share(id, mergeShares([...others, ...(plan.shares[index] ?? [])]))
      }
    }
  }

  #expect(): void {
    const demands = this.#arrivals
      .expected(this.#state.now * 1000, new Set([...this.#state.jobs.values()].map(({ job }) => job.name)))
      .map(({ name, hints }) => this.#size(name, hints).demand)
    const { used, started } = planExpectedNodes(demands, this.#state.fleet(), this.#state.newNode)
    this.#expected = used
    this.#state.start(started)
  }

  #balance(): void {
    const { stop, start } = planWarmNodes({
      open: this.#state.open(),
      reserved: new Set(this.#state.reserved.keys()),
      warmNodes: WARM_NODES,
      room: this.#class.nodesMax - this.#state.nodes.size,
      expected: this.#expected,
    })
    for (const node of stop) {
      const known = this.#state.nodes.get(node)
      if (known !== undefined) known.draining = true
    }
    for (let count = 0; count < start; count++)
      this.#state.start([{ node: this.#state.newNode(), nodeClass: this.#class }])
  }

  #timed<T>(decision: () => T): T {
    const began = performance.now()
    const result = decision()
    this.decisionMs.push(performance.now() - began)
    return result
  }
}
