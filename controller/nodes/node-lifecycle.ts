import { asMayflyError, MayflyError } from '../../protocol/errors.ts'
import { newNodeId } from '../../protocol/model/random-id.ts'
import { tiers } from '../../protocol/operations/data-operations.ts'
import type { NodeReport } from '../../protocol/operations/reports.ts'
import type { Runtime } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { Logger } from '../../service/process/log.ts'
import type { Events } from '../events/events.ts'
import { LOST_NODE_RETAINED_MS, LOST_NODES_RETAINED_MAX } from '../limits.ts'
import { isAlive, isOpen, type Node, type NodeRecord } from '../records/node.ts'
import type { NodeClass } from '../sizing/node-class.ts'
import type { Store } from '../store/store.ts'
import { expectedTiers } from './capacity.ts'
import type { Fleet, FleetNode } from './fleet/fleet.ts'
import { type NodeRegistry, unknownNode } from './registry.ts'
import type { StartFailures } from './start-failures.ts'

export interface NodeLifecycleOptions {
  readonly runtime: Runtime
  readonly store: Store
  readonly fleet: Fleet
  readonly nodes: NodeRegistry
  readonly classes: readonly NodeClass[]
  /** Whether nodes are given an S3-compatible store. */
  readonly hasS3: boolean
  readonly startFailures: StartFailures
  readonly events: Events
  readonly log: Logger
  readonly background: Background
}

/** The rooms above that act on the end of a node. */
export interface NodeWatcher {
  /** Called once for each lost node, after the loss is in the store. */
  lost(node: Node): void
  /** Called for each node that was told to stop, when its process has exited. */
  stopped(node: Node): void
}

/** Starts, drains and stops storage nodes, and records what the fleet and their reports say of them. */
export class NodeLifecycle {
  readonly #options: NodeLifecycleOptions
  #watcher: NodeWatcher | null = null
  /** Nodes whose process was told to end. */
  readonly #stopping = new Set<string>()
  /** The reason, for those that were stopped because they were silent. */
  readonly #silent = new Map<string, string>()
  /** Nodes that were told to end and are forgotten; they may report once more. */
  readonly #ended = new Set<string>()
  readonly #outdated = new Set<string>()
  /** Nodes that the fleet was not asked for yet, oldest first, and whether they are stored. */
  readonly #unstarted = new Map<string, { readonly isStored: boolean }>()

  constructor(options: NodeLifecycleOptions) {
    this.#options = options
    options.fleet.watch({
      started: (node) => this.#started(node),
      exited: (node, reason) => this.#exited(node, reason),
      gone: (node, reason) => this.#gone(node, reason),
      listed: (running) => this.reconcileWithFleet(running),
    })
  }

  /** Set once, before `reconcileWithFleet`. */
  watch(watcher: NodeWatcher): void {
    this.#watcher = watcher
  }

  /** Loads the stored nodes. */
  restore(records: readonly NodeRecord[]): void {
    for (const record of records) {
      const nodeClass = this.#options.classes.find(({ name }) => name === record.class)
      this.#options.nodes.add(record, nodeClass ?? unknownClass(record.class))
    }
  }

  /**
   * Compares the loaded nodes with the processes of the fleet: a node without a process is dead where the fleet sees every exit, and a process
   * without a node is stopped. Null if the fleet cannot tell.
   */
  reconcileWithFleet(running: readonly FleetNode[] | null): void {
    const { fleet } = this.#options
    if (running === null) {
      for (const node of this.#options.nodes.all()) if (!isAlive(node)) this.#watcher?.lost(node)
      return
    }
    const runs = new Set(running.map(({ node }) => node))
    for (const node of this.#options.nodes.all()) {
      const { id } = node.record
      if (runs.has(id) && !isOpen(node) && !this.#options.nodes.isEmptying(id)) this.#stopProcess(id)
      if (!isAlive(node)) this.#watcher?.lost(node)
      else if (runs.has(id) || this.#unstarted.has(id)) continue
      else if (fleet.seesExits) this.#exited(id, 'its process was gone when the controller started')
      else this.#gone(id, 'its process was gone when the controller started')
    }
    for (const id of runs) if (this.#options.nodes.get(id) === undefined) fleet.stop(id)
  }

  /** Draining nodes that were not told to stop yet. */
  draining(): Node[] {
    return this.#options.nodes
      .all()
      .filter(({ record }) => record.state === 'draining' && !this.#stopping.has(record.id))
  }

  /** Nodes that serve, and were started from settings that have changed since. */
  outdated(): Node[] {
    return this.#options.nodes
      .all()
      .filter(({ record }) => record.state === 'active' && this.#outdated.has(record.id))
  }

  /** False during the back-off after failed starts of the class. Then a node should be asked for only if a caller waits. */
  mayStart(className: string): boolean {
    return this.#options.startFailures.mayStart(className)
  }

  /** Whether `mayStart` of any class. */
  mayStartAny(): boolean {
    return this.#options.classes.some(({ name }) => this.mayStart(name))
  }

  /** Whether the node is held back by the back-off of its class until after that time. */
  isHeldUntil(id: string, ms: number): boolean {
    const node = this.#options.nodes.get(id)
    if (node === undefined || !this.#unstarted.has(id)) return false
    return this.#options.startFailures.notBeforeMs(node.class.name) > ms
  }

  /** An id for a node that is about to be started. */
  newId(): string {
    return newNodeId(this.#options.runtime.random)
  }

  /** Starts a node in the background, once the back-off of its class is over. It counts as capacity at once; callers notice a failed start in `NodeRegistry.settled`. */
  start(nodeClass: NodeClass, id: string, because: string): void {
    const { events, hasS3 } = this.#options
    const record = this.#add(id, nodeClass, expectedTiers(nodeClass, hasS3))
    this.#unstarted.set(id, { isStored: false })
    events.emit('node.starting', { node: id, class: nodeClass.name, because })
    void this.#options.background.once(['controlLoop', id], () => this.#launch(record))
  }

  #add(id: string, nodeClass: NodeClass, serves: NodeRecord['serves']): NodeRecord {
    const { nodes, runtime } = this.#options
    const record: NodeRecord = {
      id,
      class: nodeClass.name,
      state: 'starting',
      pid: null,
      address: null,
      serves,
      startedAtMs: runtime.clock.wallMs(),
      lostAtMs: null,
    }
    nodes.add(record, nodeClass)
    return record
  }

  /** Stops a node on which nothing is reserved. */
  stopInBackground(id: string): void {
    void this.#options.background.once(['controlLoop', id], () => this.#stop(id))
  }

  async #stop(id: string): Promise<void> {
    this.#stopping.add(id)
    const node = this.#options.nodes.change(id, { state: 'draining' })
    if (node === null) return
    await this.#write(node)
    this.#stopProcess(id)
  }

  /**
   * Marks the node as draining, so that it takes no new shares. `writeDown` stores the change and gets the new record; if it fails, the
   * node is active again.
   */
  async beginDrain(id: string, writeDown: (record: NodeRecord) => Promise<void>): Promise<void> {
    const node = this.#options.nodes.change(id, { state: 'draining' })
    if (node === null) throw unknownNode(id)
    try {
      await writeDown(node.record)
    } catch (error) {
      this.#options.nodes.change(id, { state: 'active' })
      throw error
    }
  }

  /**
   * Stops the process of a silent node. The node is lost once the process has exited. Where the fleet does not see that, the node may be silent
   * here alone, and serve: it is lost when metadata has declared it dead, or at once if it holds nothing.
   */
  stopSilent(id: string, silentMs: number): void {
    const { events, fleet, log } = this.#options
    if (this.#stopping.has(id)) return
    if (!fleet.seesExits && this.#gone(id, `it was silent for ${silentMs} ms`)) return
    this.#stopping.add(id)
    const seconds = Math.round(silentMs / 1000)
    this.#silent.set(id, `it was silent for ${seconds} s`)
    log.warn({ node: id, silentMs: Math.round(silentMs) }, 'a storage node is silent; its process is ended')
    events.emit('node.silent', { node: id, silentMs: Math.round(silentMs) })
    if (fleet.seesExits) fleet.stop(id)
  }

  /** A metadata server has declared a node dead: its lease has lapsed. Where the fleet sees exits, it is silent here too, and is ended. */
  declaredDead(id: string): void {
    const { fleet, nodes } = this.#options
    if (fleet.seesExits || !nodes.isAlive(id)) return
    this.#exited(id, 'its lease has lapsed')
    fleet.stop(id)
  }

  /** Whether a node whose exit the fleet may not see is to end; it holds nothing any more. */
  endsWith(id: string): boolean {
    const { fleet, nodes } = this.#options
    if (fleet.seesExits) return false
    if (this.#ended.has(id)) return true
    const isEmpty = nodes.get(id)?.record.state === 'draining' && !nodes.isEmptying(id)
    if (!isEmpty || !this.#stopping.has(id)) return false
    this.#ended.add(id)
    const [oldest] = this.#ended
    if (this.#ended.size > LOST_NODES_RETAINED_MAX && oldest !== undefined) this.#ended.delete(oldest)
    this.#exited(id, 'it was told to end')
    return true
  }

  /** Applies a heartbeat. A node that others have started joins with the first. Throws `NODE_DEAD` for a lost node, and `NODE_NOT_FOUND` for an unknown one. */
  async onReport(id: string, report: NodeReport): Promise<void> {
    const { store, events, fleet, startFailures } = this.#options
    // It was silent, and reports again.
    if (!fleet.seesExits && this.#silent.delete(id)) this.#stopping.delete(id)
    if (fleet.isFixed) this.#join(id, report)
    const node = this.#options.nodes.get(id)
    if (node === undefined) throw unknownNode(id)
    if (!isAlive(node)) throw new MayflyError('NODE_DEAD', `Node ${id} was declared dead`)
    this.#options.nodes.setReport(node, report)
    const { address, pid } = report
    const { record } = node
    const serves = tiers.filter((tier) => report.tiers[tier] !== undefined)
    const isKnown = record.address === address && String(record.serves) === String(serves)
    if (record.state !== 'starting' && isKnown) return
    const state = record.state === 'starting' ? 'active' : record.state
    await store.putNode({ ...record, state, address, pid, serves })
    if (this.#options.nodes.get(id)?.record.state !== record.state) return
    this.#options.nodes.change(id, { state, address, pid, serves })
    if (record.state !== 'starting') return
    startFailures.succeeded(record.class)
    this.#startHeld()
    events.emit('node.active', { node: id, class: record.class, address })
  }

  #join(id: string, report: NodeReport): void {
    const { nodes, classes } = this.#options
    if (nodes.get(id) !== undefined) return
    const nodeClass = classes.find(({ name }) => name === report.class)
    if (nodeClass === undefined)
      throw new MayflyError('BAD_REQUEST', `class: the config has no node class '${report.class}'`)
    this.#add(id, nodeClass, [])
  }

  /** Gives up nodes that have not reported in time, on which no data is yet, and starts those whose back-off is over. */
  checkStarts(): void {
    const { nodes, runtime, fleet } = this.#options
    const nowMs = runtime.clock.monotonicMs()
    for (const { record, sinceMs } of nodes.all()) {
      if (record.state !== 'starting' || this.#unstarted.has(record.id)) continue
      if (nowMs - sinceMs < fleet.startMsMax) continue
      fleet.stop(record.id)
      this.#exited(record.id, `it did not report within ${fleet.startMsMax} ms`)
    }
    this.#startHeld()
  }

  /** Removes lost nodes that exceed the retention bounds, oldest first; nodes in `keep` stay. */
  async forgetLost(keep: ReadonlySet<string>): Promise<void> {
    const { runtime, store } = this.#options
    const lost = this.#options.nodes.all().filter((node) => !isAlive(node) && !keep.has(node.record.id))
    const surplus = lost.length - LOST_NODES_RETAINED_MAX
    for (const [index, { record }] of lost.entries()) {
      const ageMs = runtime.clock.wallMs() - (record.lostAtMs ?? 0)
      if (index >= surplus && ageMs < LOST_NODE_RETAINED_MS) continue
      this.#forget(record.id)
      await store.deleteNode(record.id)
    }
  }

  async #launch(record: NodeRecord): Promise<void> {
    try {
      await this.#options.store.putNode(record)
    } catch (error) {
      this.#exited(record.id, asMayflyError(error).reason)
      return
    }
    if (!this.#unstarted.has(record.id)) return
    this.#unstarted.set(record.id, { isStored: true })
    this.#startHeld()
  }

  /** Starts the nodes that are stored and not held back. */
  #startHeld(): void {
    const { fleet, nodes, startFailures } = this.#options
    for (const [id, { isStored }] of this.#unstarted) {
      const className = nodes.get(id)?.class.name
      if (className === undefined || !isStored || !startFailures.mayStart(className)) continue
      this.#unstarted.delete(id)
      nodes.restartTime(id)
      startFailures.started(className, id)
      fleet.start(id, className)
    }
  }

  #started({ node, pid, isOutdated }: FleetNode): void {
    const { fleet, nodes } = this.#options
    if (isOutdated === true) this.#outdated.add(node)
    // Another controller may have asked for it before it lost the lead.
    if (!nodes.isAlive(node)) fleet.stop(node)
    else nodes.change(node, { pid })
  }

  /** A node that holds nothing is over; of any other the lease decides. True if it is over. */
  #gone(id: string, reason: string): boolean {
    const { fleet, nodes } = this.#options
    if (!nodes.isAlive(id)) return false
    if (nodes.get(id)?.record.state !== 'starting' && nodes.isReserved(id)) return false
    fleet.stop(id)
    this.#exited(id, reason)
    return true
  }

  #exited(id: string, reason: string): void {
    const node = this.#options.nodes.get(id)
    if (node === undefined || !isAlive(node)) return
    this.#unstarted.delete(id)
    if (node.record.state === 'draining' && !this.#options.nodes.isEmptying(id)) return this.#stopped(node)
    if (node.record.state === 'starting') this.#options.startFailures.failed(node.class.name, id, reason)
    const silence = this.#silent.get(id)
    const why = silence === undefined ? reason : `${silence} and was ended: ${reason}`
    void this.#options.background.once(['controlLoop', id], () => this.#lose(node, why))
  }

  async #lose({ record }: Node, reason: string): Promise<void> {
    const { runtime, events, log } = this.#options
    const lost = this.#options.nodes.change(record.id, { state: 'lost', lostAtMs: runtime.clock.wallMs() })
    log.warn({ node: record.id, reason }, 'a storage node is lost')
    if (lost === null) return
    await this.#write(lost)
    events.emit('node.lost', { node: record.id, class: record.class, reason })
    this.#watcher?.lost(lost)
  }

  #stopProcess(id: string): void {
    this.#stopping.add(id)
    if (this.#unstarted.has(id)) this.#exited(id, 'it was told to end')
    else this.#options.fleet.stop(id)
  }

  #stopped(node: Node): void {
    const { store, events, background, startFailures } = this.#options
    const { id } = node.record
    startFailures.stopped(node.class.name, id)
    this.#forget(id)
    void background.once(['writeNode', id], () => store.deleteNode(id))
    events.emit('node.stopped', { node: id })
    this.#watcher?.stopped(node)
  }

  #forget(id: string): void {
    this.#options.nodes.remove(id)
    this.#stopping.delete(id)
    this.#silent.delete(id)
    this.#outdated.delete(id)
    this.#options.background.forget(id)
  }

  /** Events of the fleet are facts, whether they can be stored or not, so a failed write is only logged. */
  async #write({ record }: Node): Promise<void> {
    const { store, background } = this.#options
    await background.once(['writeNode', record.id], () => store.putNode(record))
  }
}

/** A node whose class was removed from the config keeps its reservations and takes nothing new. */
function unknownClass(name: string): NodeClass {
  return { name, cores: 0, ramBytes: 0, ssdBytes: 0, bytesPerSecond: 0, pricePerHour: 0, nodesMax: 0 }
}
