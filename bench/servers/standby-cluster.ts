import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type Mayfly } from '../../client/connect.ts'
import { type Member, type Place, smallNode, startMember, writeClusterFiles } from './member.ts'
import { freePort } from './server.ts'

interface StandbyOptions {
  /** Path of the built command. */
  readonly command: string
  /** URL of PostgreSQL. */
  readonly database: string
  /** Where the two controllers run; by default here. */
  readonly places?: readonly [Place, Place]
}

/** Where a process runs, and its way to PostgreSQL if it has one of its own. */
interface Started {
  readonly on?: Place
  readonly database?: string
}

/** Controllers, metadata servers that share an identity, and storage nodes, each started by itself, on one PostgreSQL. */
export class StandbyCluster {
  readonly #dir: string
  readonly #apiKey = randomBytes(16).toString('hex')
  readonly #options: StandbyOptions
  readonly #ports: readonly number[]
  readonly #members = new Set<Member>()

  private constructor(dir: string, options: StandbyOptions, ports: readonly number[]) {
    this.#dir = dir
    this.#options = options
    this.#ports = ports
  }

  /** Nothing runs yet. */
  static async prepare(options: StandbyOptions): Promise<StandbyCluster> {
    const ports = [await freePort(), await freePort()]
    const cluster = new StandbyCluster(await mkdtemp(join(tmpdir(), 'mayfly-standby-')), options, ports)
    await writeClusterFiles(cluster.#dir, cluster.#apiKey)
    return cluster
  }

  /** Of all controllers. */
  get url(): string {
    return [0, 1].map((index) => `http://${this.#addressOf(index)}`).join(',')
  }

  connect(): Promise<Mayfly> {
    return connect(this.url, { apiKey: this.#apiKey })
  }

  /** The first or second controller, 0 or 1. */
  controller(
    index: number,
    { database = this.#options.database }: Omit<Started, 'on'> = {},
  ): Promise<Member> {
    const settings = {
      MAYFLY_LISTEN: this.#addressOf(index),
      MAYFLY_DATABASE_URL: database,
      MAYFLY_API_KEY_FILE: join(this.#dir, 'key'),
      MAYFLY_CLUSTER_FILE: join(this.#dir, 'cluster.json'),
    }
    return this.#start([this.#options.command, 'controller'], settings, this.#options.places?.[index])
  }

  /** A process that can be the metadata server `id`, at a port of its own. */
  metadata(id: string, { database = this.#options.database, on }: Started = {}): Promise<Member> {
    const settings = { MAYFLY_METADATA_ID: id, MAYFLY_DATABASE_URL: database }
    return this.#start([this.#options.command, 'metadata'], settings, on)
  }

  node({ on }: Pick<Started, 'on'> = {}): Promise<Member> {
    return this.#start([this.#options.command, 'node'], smallNode, on)
  }

  /** An S3 gateway. */
  gateway({ on }: Pick<Started, 'on'> = {}): Promise<Member> {
    return this.#start([join(this.#options.command, '../../gateway/main.js')], {}, on)
  }

  /** Kills every process. */
  async stop(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.end('SIGKILL')))
    await rm(this.#dir, { recursive: true, force: true })
  }

  #addressOf(index: number): string {
    return `${this.#options.places?.[index]?.address ?? '127.0.0.1'}:${this.#ports[index]}`
  }

  async #start(args: readonly string[], settings: NodeJS.ProcessEnv, on?: Place): Promise<Member> {
    const member = await startMember(
      args,
      {
        MAYFLY_SECRET_FILE: join(this.#dir, 'secret'),
        MAYFLY_CONTROLLER_URL: this.url,
        MAYFLY_KEPT_DIR: join(this.#dir, 'kept'),
        ...(on !== undefined && { MAYFLY_LISTEN: `${on.address}:0`, MAYFLY_INSECURE: 'true' }),
        ...settings,
      },
      on,
    )
    this.#members.add(member)
    return member
  }
}
