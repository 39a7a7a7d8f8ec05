import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { JoiningFleet } from '../../../controller/nodes/fleet/joining-fleet.ts'
import type { ApiKey, Quota } from '../../../controller/records/quota.ts'
import { startController } from '../../../controller/server.ts'
import type { NodeClass } from '../../../controller/sizing/node-class.ts'
import { defaultTraits, type TierTraits } from '../../../controller/sizing/tier-traits.ts'
import { SqliteStore } from '../../../controller/store/sqlite-store.ts'
import {
  type CapacityRequest,
  type JobUsageReport,
  type NodeReport,
  noCalls,
  type TaskReport,
} from '../../../protocol/operations/reports.ts'
import { type Clock, systemRuntime } from '../../../protocol/runtime.ts'
import { Background } from '../../../service/process/background.ts'
import type { Service } from '../../../service/process/lifecycle.ts'
import { NONCE_HEADER, RequestSigner } from '../../../service/reporting/signed-requests.ts'
import type { S3Settings } from '../../../service/s3/s3-settings.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { FakeFleet } from './fake-fleet.ts'
import { FakeMetadata } from './fake-metadata.ts'
import { Life } from './mortal.ts'

export const MIB = 1024 * 1024
export const apiKey = 'test-key-0123456789'
const secret = Buffer.alloc(32, 7)

const unused: JobUsageReport = {
  id: '',
  objects: 0,
  bytes: {},
  tiers: {},
  stored: 0,
  readSquares: 0,
  bytesPerSecond: 0,
  idleMs: 0,
}

/** Small enough that tests can fill it, and large enough for the headroom. */
export const smallClass: NodeClass = {
  name: 'small',
  cores: 1,
  ramBytes: 256 * MIB,
  ssdBytes: 2048 * MIB,
  bytesPerSecond: 1_000_000_000,
  pricePerHour: 0.1,
  nodesMax: 2,
}

const onlyRam: NodeReport['tiers'] = { ram: { capacityBytes: smallClass.ramBytes, usedBytes: 0 } }

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: the tests check what the controller answers.
  readonly body: any
}

export interface Ask {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

export interface WorldOptions {
  readonly clock?: Clock
  readonly warmNodes?: number
  readonly classes?: readonly NodeClass[]
  readonly traits?: TierTraits
  /** The tiers that nodes report; RAM alone by default. */
  readonly tiers?: NodeReport['tiers']
  /** Whether nodes report as soon as they start; else the test calls `report`. */
  readonly nodesReport?: boolean
  /** Whether nodes join when the test reports them, as those that others start; else the fleet starts them. */
  readonly nodesJoin?: boolean
  readonly port?: number
  readonly quota?: Quota
  /** None by default; nothing has to listen there. */
  readonly s3?: S3Settings
  /** In addition to the default key. */
  readonly apiKeys?: readonly ApiKey[]
  /** The built page; none if it is not said. */
  readonly pageDir?: string
  /** Silent if it is not said. */
  readonly log?: Logger
}

/** A real controller with its HTTP API and store; the fleet and the metadata server are fakes that the test controls. */
export class World {
  readonly fleet = new FakeFleet()
  readonly metadata = new FakeMetadata()
  readonly clock: Clock
  /** What each process reports of its background tasks; nothing by default. */
  readonly tasks = new Map<string, readonly TaskReport[]>()
  readonly #options: WorldOptions
  readonly #signer = new RequestSigner(secret)
  /** Where it has its state and, without S3, persisted objects. */
  readonly dir: string
  #service: Service | null = null

  private constructor(dir: string, options: WorldOptions) {
    this.#options = options
    this.clock = options.clock ?? systemRuntime.clock
    this.dir = dir
    if (options.nodesReport !== false) {
      this.fleet.onStart = (node) =>
        void setImmediate(() =>
          this.report(node).catch((error: unknown) => {
            // A node may start while the controller stops.
            if (this.#service !== null) throw error
          }),
        )
    }
  }

  /** Starts the controller, with a metadata server that has reported. */
  static async start(options: WorldOptions = {}): Promise<World> {
    const world = new World(await tempDir(), options)
    onTestFinished(() => world.stop())
    await world.startController()
    return world
  }

  async startController({ metadataReports = true, life = new Life(null) } = {}): Promise<void> {
    const classes = this.#options.classes ?? [smallClass]
    const [firstClass = smallClass] = classes
    const runtime = { clock: this.clock, random: systemRuntime.random }
    const log = this.#options.log ?? pino({ level: 'silent' })
    this.#service = await startController(
      {
        listen: { host: '127.0.0.1', port: this.#options.port ?? 0 },
        persistedDir: this.dir,
        s3: this.#options.s3 ?? null,
        secret,
        apiKeys: [
          { name: 'default', key: apiKey, role: 'admin', quota: {} },
          ...(this.#options.apiKeys ?? []),
        ],
        quota: this.#options.quota ?? {},
        classes: [...classes],
        firstClass,
        traits: this.#options.traits ?? defaultTraits,
        warmNodes: this.#options.warmNodes ?? 0,
        pageDir: this.#options.pageDir ?? this.dir,
        tracesUrl: null,
        logLevel: 'silent',
        tlsName: null,
      },
      {
        runtime,
        registry: new Registry(),
        certificates: null,
        store: life.share(this.openStore(), (method) => method !== 'load'),
        fleet: this.#options.nodesJoin ? new JoiningFleet() : life.share(this.fleet),
        metadataClient: life.share(this.metadata),
        log,
        background: new Background({ runtime, log }),
      },
    )
    if (metadataReports) await this.reportMetadata()
  }

  /** Opens the controller's state, as another process would. */
  openStore(): SqliteStore {
    return new SqliteStore(join(this.dir, 'controller.sqlite'))
  }

  async stop(): Promise<void> {
    const service = this.#service
    this.#service = null
    await service?.stop()
  }

  get url(): string {
    return `http://${this.#service?.address}`
  }

  async ask(path: string, { method = 'GET', body, headers = {}, signal }: Ask = {}): Promise<Reply> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      ...(signal !== undefined && { signal }),
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    }
  }

  register(body: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Reply> {
    return this.ask('/v1/jobs', { method: 'POST', body: { name: 'job', ...body }, headers })
  }

  /** Sends a heartbeat of a node that the fleet runs. */
  report(
    node: string,
    jobs: readonly Partial<JobUsageReport>[] = [],
    tiers: NodeReport['tiers'] = this.#options.tiers ?? onlyRam,
  ): Promise<Reply> {
    const running = this.fleet.running.get(node)
    const report: NodeReport = {
      class: running?.class ?? smallClass.name,
      address: `127.0.0.1:${running?.pid ?? 1}`,
      pid: running?.pid ?? 1,
      tiers,
      cpuCores: 0,
      bytesPerSecond: jobs.reduce((sum, job) => sum + (job.bytesPerSecond ?? 0), 0),
      tasks: this.tasks.get(node) ?? [],
      calls: noCalls,
      jobs: jobs.map((job) => ({ ...unused, ...job })),
    }
    return this.heartbeat(`nodes/${node}`, report)
  }

  reportMetadata(id = 'm-1', cpuCores = 0): Promise<Reply> {
    const tasks = this.tasks.get(id) ?? []
    return this.heartbeat(`metadata/${id}`, { address: `${id}:7401`, generation: 1, cpuCores, tasks })
  }

  heartbeat(path: string, report: unknown): Promise<Reply> {
    return this.#tell(`${path}/heartbeat`, report)
  }

  /** A node asks for more capacity for its jobs. */
  requestCapacity(node: string, jobs: CapacityRequest['jobs']): Promise<Reply> {
    return this.#tell(`nodes/${node}/capacity`, { jobs })
  }

  /** What a server of the cluster tells the controller. */
  #tell(path: string, body: unknown): Promise<Reply> {
    return this.askSigned(this.#signer, `/internal/v1/${path}`, body)
  }

  /** A request of a process of the cluster, again with the nonce that an answer names. */
  async askSigned(signer: RequestSigner, path: string, body: unknown): Promise<Reply> {
    const ask = (): Promise<Reply> => {
      const { header } = signer.sign(path, JSON.stringify(body))
      return this.ask(path, { method: 'POST', body, headers: { authorization: header } })
    }
    const answer = await ask()
    const nonce = answer.headers.get(NONCE_HEADER)
    if (nonce === null) return answer
    signer.adopt(nonce)
    return await ask()
  }

  async nodes(): Promise<{ id: string; state: string; tiers: { ram: { reservedBytes: number } } }[]> {
    return (await this.ask('/v1/nodes')).body.nodes
  }
}

/** Repeats `check` until it passes. */
export async function eventually(check: () => Promise<void> | void, withinMs = 30_000): Promise<void> {
  const untilMs = Date.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > untilMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}
