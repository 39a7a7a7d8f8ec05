import type { Fleet, FleetWatcher } from '../../../controller/nodes/fleet/fleet.ts'
import { NODE_START_MS_MAX, PROCESS_STOP_MS_MAX } from '../../../protocol/limits.ts'
import type { Cluster, RunningNode } from './cluster.ts'
import type { Host } from './host.ts'
import type { SeededRandom } from './random.ts'

interface Process {
  readonly node: string
  readonly pid: number
  /** Null until it has started. */
  running: RunningNode | null
  isStopping: boolean
}

/** Probability that a process fails to start. */
const START_FAILS = 0.03
/** Delay of a message over a local pipe. */
const PIPE_MS = 1

/**
 * The supervisor of storage nodes: it starts and ends hosts, and sees them exit. It survives the controller; its messages are lost while no controller runs.
 */
export class SimulatedFleet {
  /** Called right before the process of a node is told to end, while its memory can still be inspected. */
  onStopping: (node: RunningNode) => void = () => undefined
  /** When it last started or ended a process, in virtual ms. */
  changedMs = 0
  readonly #cluster: Cluster
  readonly #random: SeededRandom
  readonly #processes = new Map<string, Process>()
  #watching: { host: Host; watcher: FleetWatcher } | null = null
  #pids = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#random = cluster.random.fork('fleet')
    cluster.onCrash = (host, machine) => this.#crashed(host, machine)
  }

  /** Ids of the nodes whose process runs or starts. */
  get nodes(): string[] {
    return [...this.#processes.keys()]
  }

  /** The fleet, as a controller on `host` sees it. */
  of(host: Host): Fleet {
    const tell = (task: () => void): void => {
      const { timeline } = this.#cluster
      timeline.at(timeline.nowMs + PIPE_MS, task)
    }
    return {
      isFixed: false,
      seesExits: true,
      startMsMax: NODE_START_MS_MAX,
      capacityMsMax: NODE_START_MS_MAX,
      close: () => undefined,
      watch: (watcher) => {
        this.#watching = { host, watcher }
      },
      start: (node) => tell(() => this.#start(node)),
      stop: (node) => tell(() => this.#stop(node)),
      startMetadata: () => undefined,
      list: () =>
        new Promise((resolve) => {
          tell(() => {
            const processes = [...this.#processes.values()].map(({ node, pid }) => ({ node, pid }))
            this.#say(() => resolve(processes))
          })
        }),
    }
  }

  #start(node: string): void {
    if (this.#processes.has(node)) return
    const { timeline } = this.#cluster
    const process: Process = { node, pid: ++this.#pids, running: null, isStopping: false }
    this.#processes.set(node, process)
    this.changedMs = timeline.nowMs
    this.#say((watcher) => watcher.started(process))
    const afterMs = this.#random.chance(0.2)
      ? this.#random.between(500, 2_500)
      : this.#random.between(30, 300)
    const fails = this.#random.chance(START_FAILS)
    timeline.at(timeline.nowMs + afterMs, () => {
      if (process.isStopping || fails)
        return this.#exited(process, process.isStopping ? 'it was stopped' : 'code 1')
      void this.#cluster.startNode({ id: node }).then((running) => {
        process.running = running
        if (!running.host.alive) this.#exited(process, 'signal SIGKILL')
      })
    })
  }

  /** Asks it to end, and kills it if it does not. */
  #stop(node: string): void {
    const process = this.#processes.get(node)
    if (process === undefined || process.isStopping) return
    const { timeline } = this.#cluster
    process.isStopping = true
    if (process.running === null) return
    const { running } = process
    const end = (): void => {
      if (!running.host.alive) return
      if (running.host.paused) return void timeline.at(timeline.nowMs + PROCESS_STOP_MS_MAX, kill)
      kill()
    }
    const kill = (): void => {
      if (!running.host.alive) return
      this.onStopping(running)
      this.#cluster.crash(running.host, false)
    }
    timeline.at(timeline.nowMs + this.#random.between(2, 100), end)
  }

  #crashed(host: Host, machine: boolean): void {
    const process = [...this.#processes.values()].find(({ running }) => running?.host === host)
    if (process === undefined) return
    const { timeline } = this.#cluster
    const afterMs = machine ? this.#random.between(500, 4_000) : this.#random.between(0, 5)
    timeline.at(timeline.nowMs + afterMs, () =>
      this.#exited(process, process.isStopping ? 'it was stopped' : 'signal SIGKILL'),
    )
  }

  #exited({ node }: Process, reason: string): void {
    if (!this.#processes.delete(node)) return
    this.changedMs = this.#cluster.timeline.nowMs
    this.#say((watcher) => watcher.exited(node, reason))
  }

  #say(what: (watcher: FleetWatcher) => void): void {
    const to = this.#watching
    if (to === null) return
    const { timeline } = this.#cluster
    timeline.at(timeline.nowMs + PIPE_MS, () => to.host.run(() => what(to.watcher)))
  }
}
