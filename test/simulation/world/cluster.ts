import { Background } from '../../../service/process/background.ts'
import type { Logger } from '../../../service/process/log.ts'
import { type NodeService, startNode } from '../../../storage-node/server.ts'
import { Backends } from '../backends/backends.ts'
import type { Profile } from '../profiles.ts'
import { Host } from './host.ts'
import { MemoryTier } from './memory-tier.ts'
import { type MetadataServer, MetadataServers } from './metadata-servers.ts'
import { SimulatedNetwork } from './network.ts'
import { SeededRandom } from './random.ts'
import { type Reporting, scriptedReporting } from './reporting.ts'
import { Timeline } from './timeline.ts'

/** A storage node, running or dead; `service` is what is, or was, in its memory. */
export interface RunningNode {
  readonly id: string
  readonly host: Host
  readonly address: string
  readonly background: Background
  readonly startedMs: number
  service: NodeService | null
}

/** Probability of a second metadata server, so that jobs can be transferred. */
const TWO_SERVERS = 0.5
const NODE_PORT = 7600
/** Low enough that jobs are throttled now and then. */
export const NODE_BYTES_PER_SECOND = 1e7

/** The processes of one run and their environment. */
export class Cluster {
  readonly timeline = new Timeline()
  readonly network: SimulatedNetwork
  readonly random: SeededRandom
  readonly secret: Buffer
  /** What survives every process and every job. */
  readonly backends: Backends
  readonly nodes: RunningNode[] = []
  /** By how much wall clocks were set, in sum. */
  jumpedMs = 0
  readonly metadata: MetadataServers
  /** False while the controller accepts no reports. */
  controllerHears = true
  /** Called when a metadata server has declared a running node dead. */
  onDeclaredDead: (node: RunningNode, by: MetadataServer) => void = () => undefined
  /** Called when a node has taken slots without their persisted objects because the store did not answer. */
  onForgotten: (job: string) => void = () => undefined
  /** Receives the reports of nodes and metadata servers. */
  reporting: Reporting = scriptedReporting(this)
  /** Called when a process has died. */
  onCrash: (host: Host, machine: boolean) => void = () => undefined
  /** Called when a node ends because it was declared dead. */
  onEnding: (node: RunningNode) => void = () => undefined
  readonly profile: Profile
  readonly log: Logger
  #hosts = 0

  /** `complain` receives what a plane logs as an error, which is a bug. */
  constructor(seed: number, profile: Profile, complain: (what: string) => void) {
    this.random = new SeededRandom(`mayfly/${seed}`)
    this.network = new SimulatedNetwork(this.timeline, this.random.fork('network'))
    this.secret = this.random.fork('secret').bytes(32)
    this.profile = profile
    const { storeMsMax } = profile
    this.backends = new Backends({
      timeline: this.timeline,
      random: this.random.fork('backends'),
      storeMsMax,
    })
    this.log = quietLog({ complain, warned: (of, what) => this.#warned(of, what) })
    const count = profile.metadataServers ?? (this.random.fork('servers').chance(TWO_SERVERS) ? 2 : 1)
    this.metadata = new MetadataServers(this, { count, log: this.log })
  }

  /** A machine of its own or, with an ip, a process that replaces another one. */
  newHost(name: string, ip?: string): Host {
    this.#hosts++
    const random = this.random.fork(`host/${this.#hosts}`)
    return new Host(`${name}-${this.#hosts}`, {
      ip: ip ?? `10.0.1.${this.#hosts}`,
      timeline: this.timeline,
      random,
      drifts: this.profile.drifts,
    })
  }

  /** Two processes on separate machines, with the same clock and the same randomness. */
  newTwins(name: string): [Host, Host] {
    const first = this.newHost(name)
    const random = this.random.fork(`host/${this.#hosts}`)
    const ip = `10.0.2.${this.#hosts}`
    return [first, new Host(`${first.id}-twin`, { ip, timeline: this.timeline, random })]
  }

  get living(): RunningNode[] {
    return this.nodes.filter(({ host }) => host.alive)
  }

  /** Starts a storage node under a new id, or under `id`; with `ip`, at the address of a dead one. */
  async startNode({
    id,
    ip,
  }: {
    id?: string | undefined
    ip?: string | undefined
  } = {}): Promise<RunningNode> {
    const host = this.newHost('node', ip)
    const background = new Background({ runtime: host.runtime, log: this.log })
    const node: RunningNode = {
      id: id ?? host.id,
      host,
      address: `${host.ip}:${NODE_PORT}`,
      background,
      startedMs: this.timeline.nowMs,
      service: null,
    }
    this.nodes.push(node)
    const config = {
      persistedDir: '',
      s3: null,
      ssd: null,
      id: node.id,
      class: 'simulated',
      ramBytes: this.profile.nodeRamBytes,
      bytesPerSecond: NODE_BYTES_PER_SECOND,
      listen: { host: host.ip, port: NODE_PORT },
      ...this.shared(),
    }
    const starting = startNode(config, {
      runtime: host.runtime,
      network: this.network.of(host),
      cpuSeconds: () => 0,
      tellController: (report) => this.reporting.node(host, node.id, report),
      askCapacity: (request) => this.reporting.capacity(host, node.id, request),
      log: this.log,
      background,
      persisted: this.backends.persistedOf(host),
      ssd: {
        bytes: this.profile.nodeRamBytes,
        store: new MemoryTier({ runtime: host.runtime, random: this.random.fork(`ssd/${host.id}`) }),
      },
      s3: this.backends.tierOf(host, background),
      onEnd: () => undefined,
      onDead: () => {
        // The node may learn it before it is stored.
        this.onEnding(node)
        this.crash(host, false)
      },
    })
    node.service = await host.unlessDead(starting)
    return node
  }

  /** A metadata server has stored that nodes are dead, whether they are or not. */
  declareDead(ids: readonly string[], by: MetadataServer): void {
    for (const node of this.nodes) if (ids.includes(node.id) && node.host.alive) this.onDeclaredDead(node, by)
  }

  /** Kills a process; `machine` also kills its kernel, so that no peer is told. */
  crash(host: Host, machine: boolean): void {
    host.crash()
    this.network.died(host, machine)
    this.onCrash(host, machine)
  }

  #warned({ job = '' }: { job?: string }, what: string): void {
    if (what.startsWith('persisted objects of a job cannot be recovered')) this.onForgotten(job)
  }

  /** The configuration that all planes share. */
  shared() {
    return { controllerUrl: '', secret: this.secret, logLevel: 'silent', tracesUrl: null, drainMs: 0 }
  }
}

/** A log that discards all but errors, which only a bug writes, and warnings. */
function quietLog({
  complain,
  warned,
}: {
  complain: (what: string) => void
  warned: (of: { job?: string }, what: string) => void
}): Logger {
  const quiet = (): void => undefined
  const loud = (fields: { err?: unknown }, message: string): void => {
    const { err } = fields
    complain(`${message}: ${err instanceof Error ? (err.stack ?? err.message) : String(err)}`)
  }
  const log = {
    trace: quiet,
    debug: quiet,
    info: quiet,
    warn: warned,
    error: loud,
    fatal: loud,
  }
  return log as unknown as Logger
}
