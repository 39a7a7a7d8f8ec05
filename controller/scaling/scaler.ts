import { isError } from '../../protocol/errors.ts'
import type { Registrations } from '../jobs/registrations.ts'
import { SCALE_IN_TRIES_MAX } from '../limits.ts'
import type { NodeClass } from '../sizing/node-class.ts'
import type { AutoResize } from './auto-resize.ts'
import type { Drains } from './drains.ts'
import { type ClassView, type NodeLoadsOptions, viewClass } from './node-loads.ts'
import {
  BAND_HIGH,
  type ClassMemory,
  type Decision,
  decide,
  fullestOf,
  noMemory,
  sumLoads,
} from './policy.ts'
import { planMoves } from './rebalance.ts'
import type { ReconcilerOptions } from './reconciler.ts'
import type { Relocations } from './relocations.ts'

export interface ScalerOptions extends ReconcilerOptions, NodeLoadsOptions {
  readonly classes: readonly NodeClass[]
  readonly registrations: Registrations
  readonly drains: Drains
  readonly relocations: Relocations
  readonly autoResize: AutoResize
}

type Full = Decision & { readonly kind: 'full'; readonly isNew: boolean }

/** Rounds between checks for uneven nodes while the class as a whole is in the band. */
const EVEN_ROUNDS = 10

/**
 * Scales capacity with load, every second. It keeps no state of its decisions: they are stored as shares, starting nodes and draining
 * nodes, and carried out by `Reconciler`, `Relocations` and `Drains`.
 */
export class Scaler {
  readonly #options: ScalerOptions
  readonly #memories = new Map<string, ClassMemory>()
  /** Classes above the band that may have no more nodes. */
  readonly #full = new Set<string>()
  #round = 0

  constructor(options: ScalerOptions) {
    this.#options = options
  }

  /** To be called every `HEARTBEAT_MS`. */
  round(): void {
    const { classes, jobs, autoResize } = this.#options
    // A resize enters its shares when it completes and would overwrite other changes.
    if (jobs.isResizing) return
    this.#round++
    autoResize.round()
    for (const nodeClass of classes) this.#evaluate(nodeClass)
  }

  #evaluate(nodeClass: NodeClass): void {
    const seen = viewClass(nodeClass, this.#options)
    if (seen === null) return
    const memory = this.#memories.get(nodeClass.name) ?? noMemory
    const { nodeLifecycle } = this.#options
    const room = nodeLifecycle.mayStart(nodeClass.name) ? seen.room : 0
    const wasFull = this.#full.delete(nodeClass.name)
    const { memory: next, decision } = decide(memory, { ...seen, room, unsettled: this.#isUnsettled(seen) })
    this.#memories.set(nodeClass.name, next)
    if (decision.kind === 'add') return this.#add(nodeClass, seen, decision)
    if (decision.kind === 'remove') return void this.#remove(nodeClass, seen, decision)
    // After a failed start there is room, and the start is retried soon.
    if (decision.kind === 'full' && seen.room === 0)
      this.#reportFull(nodeClass, { ...decision, isNew: !wasFull })
    if (this.#round % EVEN_ROUNDS === 0 && !seen.isStarting) this.#rebalance(nodeClass, seen)
  }

  /** Reported once per episode. */
  #reportFull({ name, nodesMax }: NodeClass, { resource, load, isNew }: Full): void {
    const { events, log } = this.#options
    this.#full.add(name)
    if (!isNew) return
    const what = { class: name, resource, load: round(load), nodesMax }
    log.warn(what, 'load is above the band, and no more nodes may be started')
    events.emit('class.full', what)
  }

  #add(
    nodeClass: NodeClass,
    seen: ClassView,
    { nodes: count, resource, load }: Decision & { kind: 'add' },
  ): void {
    const { nodeLifecycle, relocations, events, log } = this.#options
    const idle = seen.idleNodes.slice(0, count)
    const fresh = Array.from({ length: count - idle.length }, () => ({
      node: nodeLifecycle.newId(),
      spare: seen.capacity,
      jobs: [],
    }))
    const moves = planMoves([...seen.busyNodes, ...idle, ...fresh])
    const takers = new Set(moves.map(({ to }) => to))
    const started = fresh.filter(({ node }) => takers.has(node))
    if (moves.length === 0) return
    const what = {
      class: nodeClass.name,
      resource,
      load: round(load),
      nodes: seen.loads.length,
      moves: moves.length,
    }
    log.info({ ...what, started: started.length }, 'load is above the band; nodes are added')
    events.emit('class.scaledOut', { ...what, started: started.map(({ node }) => node) })
    for (const { node } of started) nodeLifecycle.start(nodeClass, node, 'load is above the band')
    relocations.begin(moves)
  }

  async #remove(
    nodeClass: NodeClass,
    seen: ClassView,
    { nodes: count, resource, load }: Decision & { kind: 'remove' },
  ): Promise<void> {
    const { drains, nodes, events, log } = this.#options
    const serving = seen.busyNodes.filter(({ node }) => nodes.serves(node))
    const fullness = (jobs: ClassView['busyNodes'][number]['jobs']): number =>
      fullestOf(sumLoads(jobs.map((part) => part.load))).load
    const emptiest = [...serving]
      .sort((a, b) => fullness(a.jobs) - fullness(b.jobs))
      .slice(0, count + SCALE_IN_TRIES_MAX)
    let begun = 0
    for (const { node } of emptiest) {
      if (begun === count) return
      try {
        await drains.begin(node, 'busy')
      } catch (error) {
        // Its reservations do not fit elsewhere, or its state has changed; another node is tried.
        if (isError(error, 'RESERVATION_REFUSED', 'BAD_REQUEST', 'NODE_NOT_FOUND', 'UNAVAILABLE')) continue
        log.warn({ err: error, node }, 'a node could not be drained')
        return
      }
      begun++
      const what = { class: nodeClass.name, resource, load: round(load), nodes: seen.loads.length, node }
      log.info(what, 'load is below the band; the emptiest node drains')
      events.emit('class.scaledIn', what)
    }
  }

  /** Rebalances if the class is in the band and one of its nodes is not. */
  #rebalance(nodeClass: NodeClass, seen: ClassView): void {
    const { relocations, events, log } = this.#options
    const isUneven = seen.loads.some((load) => fullestOf(load).load > BAND_HIGH)
    const moves = isUneven ? planMoves(seen.busyNodes, BAND_HIGH) : []
    if (moves.length === 0) return
    log.info({ class: nodeClass.name, moves: moves.length }, 'nodes are uneven; jobs move between them')
    events.emit('class.rebalanced', { class: nodeClass.name, moves })
    relocations.begin(moves)
  }

  #isUnsettled({ isStarting }: ClassView): boolean {
    const { ledger, reconciler, registrations, nodeLifecycle, fleetCapacity } = this.#options
    return (
      // What is stopped there cannot be started again.
      fleetCapacity.isFixed ||
      isStarting ||
      !reconciler.isIdle ||
      registrations.underWay > 0 ||
      nodeLifecycle.draining().length > 0 ||
      ledger.relocating().length > 0
    )
  }
}

function round(load: number): number {
  return Math.round(load * 1000) / 1000
}
