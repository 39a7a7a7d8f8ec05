import { createController } from '../../../controller/controller.ts'
import type { EventType } from '../../../controller/events/events.ts'
import { WireMetadataClient } from '../../../controller/metadata/client.ts'
import type { NodeClass } from '../../../controller/sizing/node-class.ts'
import type { Hints } from '../../../controller/sizing/rightsizing.ts'
import { defaultTraits } from '../../../controller/sizing/tier-traits.ts'
import { asMayflyError, isError, MayflyError } from '../../../protocol/errors.ts'
import { CONTROL_CALL_MS, NODE_START_MS_MAX, SLOTS_DEFAULT } from '../../../protocol/limits.ts'
import { sleep } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { Background } from '../../../service/process/background.ts'
import { clusterToken } from '../../../service/process/cluster-token.ts'
import { type Cluster, NODE_BYTES_PER_SECOND } from './cluster.ts'

import type { Control, PlacedJob } from './control.ts'
import { ControllerDisk } from './controller-disk.ts'
import type { Host } from './host.ts'
import type { MetadataServer } from './metadata-servers.ts'
import type { SeededRandom } from './random.ts'
import { SimulatedFleet } from './simulated-fleet.ts'

export type Deciding = ReturnType<typeof createController>

interface Process {
  readonly host: Host
  readonly controller: Deciding
}

/** One request that waits for its answer. */
interface Open {
  readonly to: Host
  readonly fail: (reason: string) => void
}

const IP = '10.0.3.1'
const OWNER = 'default'
const RETRY_MS = 100
/** A registration waits for nodes, and as long again for metadata. */
const REGISTER_MS = 2 * NODE_START_MS_MAX + CONTROL_CALL_MS

/** Something that the controller reported, and when. */
export interface Told {
  readonly atMs: number
  readonly type: EventType
  readonly data: Readonly<Record<string, unknown>>
}

/**
 * The published controller on a host of its own that may crash, with its store, a simulated fleet and the simulated network. Its HTTP server is left out:
 * requests and reports call the rooms below it, over a network that loses and delays them.
 */
export class RealController implements Control {
  readonly decides = true
  readonly ips = [IP]
  readonly host: Host
  readonly fleet: SimulatedFleet
  readonly disk = new ControllerDisk()
  readonly told: Told[] = []
  onTold: (told: Told) => void = () => undefined
  readonly nodeClass: NodeClass
  readonly #cluster: Cluster
  readonly #random: SeededRandom
  readonly #warmNodes: number
  readonly #open = new Set<Open>()
  readonly #refusals = new Map<string, string>()
  /** Null while none runs. */
  process: Process | null = null

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#random = cluster.random.fork('controller')
    this.host = cluster.newHost('operator')
    this.fleet = new SimulatedFleet(cluster)
    this.#warmNodes = this.#random.below(2)
    const { nodeRamBytes } = cluster.profile
    this.nodeClass = {
      name: 'simulated',
      cores: 1,
      ramBytes: nodeRamBytes,
      ssdBytes: nodeRamBytes,
      bytesPerSecond: NODE_BYTES_PER_SECOND,
      pricePerHour: 1,
      nodesMax: 3 + this.#random.below(3),
    }
    cluster.reporting = {
      node: (from, id, report) => this.#report(from, ({ reports }) => reports.node(id, report)),
      capacity: (from, id, request) => this.#report(from, ({ reports }) => reports.capacity(id, request)),
      metadata: (from, id, report) => this.#report(from, ({ reports }) => reports.metadata(id, report)),
    }
  }

  get warmNodes(): number {
    return this.#warmNodes
  }

  /** Starts its process, also as the replacement of a dead one; again and again while it cannot start, as the supervisor does. */
  async start(): Promise<void> {
    while (!(await this.#startOnce())) await this.sleep(RETRY_MS)
  }

  /** False if it could not start, because its disk is full. */
  async #startOnce(): Promise<boolean> {
    const { network, secret, log } = this.#cluster
    const host = this.#cluster.newHost('controller', IP)
    const { runtime, clock } = host
    const pool = new CallerPool({
      dial: network.of(host).dial,
      runtime,
      token: () => clusterToken(secret, clock.wallMs()),
    })
    const fleet = this.fleet.of(host)
    const controller = createController(
      {
        classes: [this.nodeClass],
        firstClass: this.nodeClass,
        traits: defaultTraits,
        warmNodes: this.#warmNodes,
        secret,
        apiKeys: [],
        quota: {},
        s3: null,
        tlsName: null,
      },
      {
        runtime,
        store: this.disk.of(host, this.#random.fork(`disk/${host.id}`)),
        fleet,
        metadataClient: new WireMetadataClient(pool, clock),
        log,
        background: new Background({ runtime, log }),
      },
    )
    controller.events.subscribe(({ type, data }) => {
      const told = { atMs: this.#cluster.timeline.nowMs, type, data }
      this.told.push(told)
      this.onTold(told)
    })
    const begin = async (): Promise<void> => {
      await controller.load()
      const running = await fleet.list()
      this.process = { host, controller }
      await controller.begin(running)
    }
    try {
      await host.unlessDead(begin())
      return true
    } catch (error) {
      if (!this.disk.failing || !isError(error, 'UNAVAILABLE')) throw error
      if (this.process?.host === host) this.crash()
      else if (host.alive) this.#cluster.crash(host, false)
      return false
    }
  }

  /** Kills its process; nobody starts it again. */
  crash(): void {
    const host = this.process?.host
    if (host === undefined) return
    this.process = null
    this.#cluster.crash(host, false)
    for (const { to, fail } of [...this.#open]) if (to === host) fail('the connection was reset')
  }

  /**
   * Sends the controller a request over the network, from `from`. Rejects with what the controller throws, and with `UNAVAILABLE` if no answer arrives in time.
   */
  ask<Answer>(
    from: Host,
    question: (controller: Deciding, gone: AbortSignal) => Answer | Promise<Answer>,
    { ms = CONTROL_CALL_MS, signal }: { ms?: number; signal?: AbortSignal } = {},
  ): Promise<Answer> {
    const to = this.process
    const gone = new AbortController()
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel()
        this.#open.delete(open)
        gone.abort()
      }
      const fail = (reason: string): void => {
        end()
        reject(new MayflyError('UNAVAILABLE', `The controller does not answer: ${reason}`))
      }
      const timer = from.after(ms, () => fail('its time is over'))
      const open = { to: to?.host ?? from, fail: (reason: string) => void from.after(1, () => fail(reason)) }
      this.#open.add(open)
      signal?.addEventListener('abort', () => fail('it was given up'))
      if (to === null || !this.#cluster.controllerHears) return open.fail('refused')
      this.#carry(from, to.host, () => {
        const answer = async (): Promise<Answer> => await question(to.controller, gone.signal)
        answer().then(
          (value) => this.#carry(to.host, from, () => [end(), resolve(value)]),
          (error: unknown) => {
            this.#watchBugs(error)
            this.#carry(to.host, from, () => [end(), reject(asMayflyError(error))])
          },
        )
      })
    })
  }

  /** Registers a job, and retries until it is registered; the name is also its idempotency key. */
  async createJob(
    name: string,
    options: { slots: number; capacityBytes: number; ssdBytes: number; s3Bytes: number },
  ): Promise<PlacedJob> {
    const hints: Hints = this.#random.chance(0.5)
      ? {}
      : { capacityBytes: this.#random.pick([4_000, 16_000, 60_000]) }
    const id = await this.register(this.host, { name, hints, leaseSeconds: 3_600 }, name)
    const ticket = await this.ticketOf(this.host, id)
    const server = await this.ask(
      this.host,
      ({ ledger, metadata }) => metadata.get(ledger.require(id).metadata)?.address,
    )
    const servers = [server ?? '']
    return {
      ...options,
      id,
      slots: SLOTS_DEFAULT,
      ticket,
      servers,
      nodes: [],
      weights: new Map(),
      endAskedMs: null,
    }
  }

  /** Retries until the job is registered or refused. Resolves with the job's id. */
  register(
    from: Host,
    request: { name: string; hints: Hints; leaseSeconds: number },
    key: string,
  ): Promise<string> {
    return this.#persist(from, `register ${key}`, async () => {
      const by = { owner: OWNER, key, waitSeconds: 0 }
      const register = ({ registrations }: Deciding, signal: AbortSignal) =>
        registrations.register(request, { ...by, signal })
      return (await this.ask(from, register, { ms: REGISTER_MS })).id
    })
  }

  ticketOf(from: Host, id: string): Promise<string> {
    return this.#persist(from, `a ticket of ${id}`, () =>
      this.ask(from, ({ ledger, tickets }) => tickets.make(ledger.require(id)), { ms: 2 * CONTROL_CALL_MS }),
    )
  }

  async setShares(): Promise<void> {
    // The real controller tells metadata itself.
  }

  async proveDeath(): Promise<void> {
    // The real controller's fleet sees the exit.
  }

  async moveJob(job: PlacedJob, to: MetadataServer): Promise<void> {
    if (job.endAskedMs !== null || job.servers.at(-1) === to.address) return
    job.servers = [...job.servers.filter((server) => server !== to.address), to.address]
    const move = (): Promise<unknown> =>
      this.ask(this.host, ({ transfers }) => transfers.move(job.id, to.id), { ms: 4 * CONTROL_CALL_MS })
    // A controller that was started anew may not have heard of the server yet: then the operator asks again.
    const known = (): Promise<unknown> =>
      move().catch((error: unknown) => {
        throw isError(error, 'BAD_REQUEST') ? new MayflyError('UNAVAILABLE', error.reason) : error
      })
    await this.#persist(this.host, `${job.id} to ${to.id}`, known).catch((error: unknown) => {
      if (!isError(error, 'JOB_ENDED')) throw error
    })
  }

  async endJob(job: PlacedJob): Promise<void> {
    job.endAskedMs ??= this.#cluster.timeline.nowMs
    await this.end(this.host, job.id)
  }

  async end(from: Host, id: string): Promise<void> {
    await this.#persist(from, `the end of ${id}`, () =>
      this.ask(from, ({ jobs }) => jobs.endWithin(id, 'deregistered'), { ms: 2 * CONTROL_CALL_MS }),
    )
  }

  get waiting(): string[] {
    return [...this.#refusals.values()]
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.host.clock, ms)
  }

  async #persist<Result>(from: Host, what: string, task: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        const result = await task()
        this.#refusals.delete(what)
        return result
      } catch (error) {
        this.#refusals.set(what, `${what} was asked for: ${String(error)}`)
        if (!isError(error, 'UNAVAILABLE', 'CONNECTION_LOST', 'DEADLINE_EXCEEDED')) {
          this.#refusals.delete(what)
          throw error
        }
      }
      await sleep(from.clock, RETRY_MS)
    }
  }

  /** Sends a report. Any answer but success counts as none for the sender. */
  async #report<Answer>(
    from: Host,
    take: (controller: Deciding) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await this.ask(from, take)
    } catch (error) {
      throw new MayflyError('UNAVAILABLE', asMayflyError(error).reason)
    }
  }

  #carry(from: Host, to: Host, task: () => unknown): void {
    const { network, timeline } = this.#cluster
    const ms = network.messageMs(from, to)
    if (ms !== null) timeline.at(timeline.nowMs + ms, () => to.run(() => void task()))
  }

  /** Errors that only a bug throws. */
  #watchBugs(error: unknown): void {
    const { code, cause } = asMayflyError(error)
    if (code === 'INTERNAL')
      this.#cluster.log.error({ err: cause ?? error }, 'the controller answers INTERNAL')
  }
}

export function isReal(controller: Control): controller is RealController {
  return controller.decides
}
