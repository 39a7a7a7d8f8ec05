import { asMayflyError, MayflyError } from '../../protocol/errors.ts'
import {
  LOST_NODE_KEPT_MS,
  LOST_NODES_KEPT_MAX,
  NODE_START_MS_MAX,
  NODE_START_RETRY_MS_MAX,
  NODE_START_RETRY_MS_MIN,
} from '../../protocol/limits.ts'
import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import type { NodeReport } from '../../protocol/operations/reports.ts'
import { backoffMs, type Runtime } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { Logger } from '../../service/process/log.ts'
import type { Events } from '../events/events.ts'
import type { Room, Spare } from '../packing/packing.ts'
import { newNodeId } from '../records/id.ts'
import { isAlive, isOpen, type Node, type NodeRecord } from '../records/node.ts'
import type { NodeClass, ResourceVector } from '../sizing/node-class.ts'
import type { Store } from '../store/store.ts'
import {
  capacityBeside,
  emptyCapacity,
  expectedTiers,
  limitOf,
  priceOfNodes,
  servedBy,
  sparesOn,
} from './capacity.ts'
import type { Fleet, FleetNode } from './fleet/fleet.ts'

export interface NodeRegistryOptions {
  readonly runtime: Runtime
  readonly store: Store
  readonly fleet: Fleet
  readonly classes: readonly NodeClass[]
  /** What all nodes together may cost an hour. */
  readonly pricePerHourMax: number
  /** Whether nodes are given an S3-compatible store. */
  readonly hasS3: boolean
  readonly events: Events
  readonly log: Logger
  readonly background: Background
  readonly stopped: AbortSignal
  /** Called once for each node that is lost, after that is written down. */
  readonly onLost: (node: Node) => void
  /** Called for each node that was told to stop, when its process has exited. */
  readonly onStopped: (node: Node) => void
  /** Whether a job has a share on a node. */
  readonly isReserved: (node: string) => boolean
}

/** The life of storage nodes: asked of the fleet, reporting, told to stop, exited. */
export class NodeRegistry {
  readonly #options: NodeRegistryOptions
  readonly #nodes = new Map<string, Node>()
  /** Those who wait for nodes look again whenever one changes. */
  readonly #waiting = new Set<() => void>()
  /** Nodes whose process was told to end. */
  readonly #stopping = new Set<string>()
  /** Why, of those that were told because they did not answer. */
  readonly #silent = new Map<string, string>()
  #startsFailed = 0
  #startNotBeforeMs = Number.NEGATIVE_INFINITY

  constructor(options: NodeRegistryOptions) {
    this.#options = options
    options.stopped.addEventListener('abort', () => this.#wake())
    options.fleet.watch({
      started: ({ node, pid }) => void this.#set(node, { pid }),
      exited: (node, reason) => this.#exited(node, reason),
    })
  }

  /** Takes over what the store had. */
  restore(records: readonly NodeRecord[]): void {
    for (const record of records) {
      const nodeClass = this.#options.classes.find(({ name }) => name === record.class)
      this.#add(record, nodeClass ?? unknownClass(record.class))
    }
  }

  /** Compares what was restored with what the fleet runs: a node that it no longer runs is dead. */
  compare(running: readonly FleetNode[]): void {
    const { fleet, onLost } = this.#options
    const runs = new Set(running.map(({ node }) => node))
    for (const node of this.all()) {
      const { id } = node.record
      if (runs.has(id) && !isOpen(node) && !this.isEmptying(id)) this.#tellStop(id)
      if (!isAlive(node)) onLost(node)
      else if (!runs.has(id)) this.#exited(id, 'its process was gone when the controller started')
    }
    for (const id of runs) if (!this.#nodes.has(id)) fleet.stop(id)
  }

  all(): Node[] {
    return [...this.#nodes.values()].sort((a, b) => a.record.startedAtMs - b.record.startedAtMs)
  }

  get(id: string): Node | undefined {
    return this.#nodes.get(id)
  }

  isAlive(id: string): boolean {
    const node = this.#nodes.get(id)
    return node !== undefined && isAlive(node)
  }

  /** True once it has reported, until it dies. */
  serves(id: string): boolean {
    const state = this.#nodes.get(id)?.record.state
    return state === 'active' || state === 'draining'
  }

  isOpen(id: string): boolean {
    const node = this.#nodes.get(id)
    return node !== undefined && isOpen(node)
  }

  /** True while a node drains and jobs still have shares on it. */
  isEmptying(id: string): boolean {
    return this.#nodes.get(id)?.record.state === 'draining' && this.#options.isReserved(id)
  }

  /** Nodes that drain and were not told to stop yet. */
  draining(): Node[] {
    return this.all().filter(({ record }) => record.state === 'draining' && !this.#stopping.has(record.id))
  }

  /** The tiers that storage nodes serve: as far as they have reported, and where there is none, by the config. */
  get served(): ReadonlySet<Tier> {
    return servedBy(this.#nodes.values(), this.#options)
  }

  /** What the cluster has with as many nodes as its classes allow. */
  get limit(): ResourceVector {
    return limitOf(this.#options.classes, this.served)
  }

  /** What is left on the nodes that may take shares. */
  spares(reserved: ReadonlyMap<string, ResourceVector>): Spare[] {
    return sparesOn([...this.#nodes.values()], reserved, this.served)
  }

  /** How many nodes of each class may be started. */
  rooms(reserved: ReadonlyMap<string, ResourceVector>): Room[] {
    return capacityBeside(this.all(), reserved, this.#options)
  }

  /** How many nodes of each class there may be in all. */
  emptyCapacity(): Room[] {
    return emptyCapacity(this.#options, this.served)
  }

  /** Of the nodes that run or start. */
  get pricePerHour(): number {
    return priceOfNodes(this.all())
  }

  /** False for a while after nodes failed to start, longer each time: for starts that nobody waits for. */
  get mayStart(): boolean {
    return this.#options.runtime.clock.monotonicMs() >= this.#startNotBeforeMs
  }

  /** An id for a node that is about to be started. */
  newId(): string {
    return newNodeId(this.#options.runtime.random)
  }

  /** Starts a node. It counts at once; that it does not come up shows when it is waited for. */
  start(nodeClass: NodeClass, id: string): void {
    const { runtime, events } = this.#options
    const record: NodeRecord = {
      id,
      class: nodeClass.name,
      state: 'starting',
      pid: null,
      address: null,
      serves: expectedTiers(nodeClass, this.#options.hasS3),
      startedAtMs: runtime.clock.wallMs(),
      lostAtMs: null,
    }
    this.#add(record, nodeClass)
    events.emit('node.starting', { node: record.id, class: nodeClass.name })
    void this.#options.background.once(['upkeep', id], () => this.#launch(record))
  }

  /** Stops a node on which nothing is reserved. */
  stopInBackground(id: string): void {
    void this.#options.background.once(['upkeep', id], () => this.#stop(id))
  }

  async #stop(id: string): Promise<void> {
    this.#stopping.add(id)
    const node = this.#set(id, { state: 'draining' })
    if (node === null) return
    await this.#write(node)
    this.#tellStop(id)
  }

  /**
   * From now on the node takes no new shares. `writeDown` gets its record as it then is; if that fails, the node is
   * as it was.
   */
  async beginDrain(id: string, writeDown: (record: NodeRecord) => Promise<void>): Promise<void> {
    const node = this.#set(id, { state: 'draining' })
    if (node === null) throw unknownNode(id)
    try {
      await writeDown(node.record)
    } catch (error) {
      this.#set(id, { state: 'active' })
      throw error
    }
  }

  /** Ends a process that does not answer. What it held counts as lost only once it has exited. */
  endSilent(id: string, silentMs: number): void {
    const { events, fleet, log } = this.#options
    if (this.#stopping.has(id)) return
    this.#stopping.add(id)
    const seconds = Math.round(silentMs / 1000)
    this.#silent.set(id, `it was silent for ${seconds} s`)
    log.warn({ node: id, silentMs: Math.round(silentMs) }, 'a storage node is silent; its process is ended')
    events.emit('node.silent', { node: id, silentMs: Math.round(silentMs) })
    fleet.stop(id)
  }

  /** Takes a heartbeat. Throws `NODE_NOT_FOUND` for a node that was given up. */
  async heard(id: string, report: NodeReport): Promise<void> {
    const node = this.#nodes.get(id)
    if (node === undefined || !isAlive(node)) throw unknownNode(id)
    const { runtime, store, events } = this.#options
    this.#nodes.set(id, { ...node, report, reportedMs: runtime.clock.monotonicMs() })
    const { address, pid } = report
    const { record } = node
    const serves = tiers.filter((tier) => report.tiers[tier] !== undefined)
    const isKnown = record.address === address && String(record.serves) === String(serves)
    if (record.state !== 'starting' && isKnown) return
    const state = record.state === 'starting' ? 'active' : record.state
    await store.putNode({ ...record, state, address, pid, serves })
    if (this.#nodes.get(id)?.record.state !== record.state) return
    this.#set(id, { state, address, pid, serves })
    if (record.state !== 'starting') return
    this.#startsFailed = 0
    events.emit('node.active', { node: id, class: record.class, address })
  }

  /** Gives up nodes that did not report within `NODE_START_MS_MAX`; nothing was placed on them yet. */
  expireStarts(): void {
    const nowMs = this.#options.runtime.clock.monotonicMs()
    for (const { record, sinceMs } of this.all()) {
      if (record.state !== 'starting' || nowMs - sinceMs < NODE_START_MS_MAX) continue
      this.#options.fleet.stop(record.id)
      this.#exited(record.id, `it did not report within ${NODE_START_MS_MAX} ms`)
    }
  }

  /** Resolves when each of these nodes reported or is lost. Rejects with `UNAVAILABLE` at the deadline or at a stop. */
  async settled(ids: readonly string[], deadlineMs: number): Promise<void> {
    const { runtime, stopped } = this.#options
    const { clock } = runtime
    for (;;) {
      if (stopped.aborted) throw new MayflyError('UNAVAILABLE', 'The controller is stopping')
      const starting = ids.filter((id) => this.#nodes.get(id)?.record.state === 'starting')
      if (starting.length === 0) return
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) {
        throw new MayflyError('UNAVAILABLE', `Storage nodes did not start in time: ${starting.join(', ')}`)
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = clock.after(leftMs, wake)
        this.#waiting.add(wake)
      })
    }
  }

  /** Drops lost nodes that nobody needs to see any more, oldest first; those in `keep` stay. */
  async forgetLost(keep: ReadonlySet<string>): Promise<void> {
    const { runtime, store } = this.#options
    const lost = this.all().filter((node) => !isAlive(node) && !keep.has(node.record.id))
    const surplus = lost.length - LOST_NODES_KEPT_MAX
    for (const [index, { record }] of lost.entries()) {
      const ageMs = runtime.clock.wallMs() - (record.lostAtMs ?? 0)
      if (index >= surplus && ageMs < LOST_NODE_KEPT_MS) continue
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
    this.#options.fleet.start(record.id, record.class)
  }

  #exited(id: string, reason: string): void {
    const node = this.#nodes.get(id)
    if (node === undefined || !isAlive(node)) return
    if (node.record.state === 'draining' && !this.isEmptying(id)) return this.#stopped(node)
    if (node.record.state === 'starting') this.#startFailed()
    const silence = this.#silent.get(id)
    const why = silence === undefined ? reason : `${silence} and was ended: ${reason}`
    void this.#options.background.once(['upkeep', id], () => this.#lose(node, why))
  }

  async #lose({ record }: Node, reason: string): Promise<void> {
    const { runtime, events, log, onLost } = this.#options
    const lost = this.#set(record.id, { state: 'lost', lostAtMs: runtime.clock.wallMs() })
    log.warn({ node: record.id, reason }, 'a storage node is lost')
    if (lost === null) return
    await this.#write(lost)
    events.emit('node.lost', { node: record.id, class: record.class, reason })
    onLost(lost)
  }

  #tellStop(id: string): void {
    this.#stopping.add(id)
    this.#options.fleet.stop(id)
  }

  #stopped(node: Node): void {
    const { store, events, background, onStopped } = this.#options
    const { id } = node.record
    this.#forget(id)
    void background.once(['writeNode', id], () => store.deleteNode(id))
    events.emit('node.stopped', { node: id })
    onStopped(node)
    this.#wake()
  }

  #forget(id: string): void {
    this.#nodes.delete(id)
    this.#stopping.delete(id)
    this.#silent.delete(id)
    this.#options.background.forget(id)
  }

  #startFailed(): void {
    const { clock, random } = this.#options.runtime
    const bounds = { msMin: NODE_START_RETRY_MS_MIN, msMax: NODE_START_RETRY_MS_MAX }
    this.#startNotBeforeMs = clock.monotonicMs() + backoffMs(this.#startsFailed++, bounds, random)
  }

  #add(record: NodeRecord, nodeClass: NodeClass): Node {
    const sinceMs = this.#options.runtime.clock.monotonicMs()
    const node: Node = { record, class: nodeClass, report: null, reportedMs: null, sinceMs }
    this.#nodes.set(record.id, node)
    return node
  }

  /** What the fleet says of a process is true whether or not it could be written down: a failure is only logged. */
  async #write({ record }: Node): Promise<void> {
    const { store, background } = this.#options
    await background.once(['writeNode', record.id], () => store.putNode(record))
  }

  #set(id: string, change: Partial<NodeRecord>): Node | null {
    const node = this.#nodes.get(id)
    if (node === undefined) return null
    const changed = { ...node, record: { ...node.record, ...change } }
    this.#nodes.set(id, changed)
    this.#wake()
    return changed
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}

export function unknownNode(id: string): MayflyError {
  return new MayflyError('NODE_NOT_FOUND', `There is no node '${id}'`)
}

/** A node of a class that left the config keeps what its jobs reserved and takes nothing new. */
function unknownClass(name: string): NodeClass {
  return { name, cores: 0, ramBytes: 0, ssdBytes: 0, bytesPerSecond: 0, pricePerHour: 0, nodesMax: 0 }
}
