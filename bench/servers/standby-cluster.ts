import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type Mayfly } from '../../client/connect.ts'
import { type Member, smallNode, startMember, writeClusterFiles } from './member.ts'
import { freePort } from './server.ts'

interface StandbyOptions {
  /** Path of the built command. */
  readonly command: string
  /** URL of PostgreSQL. */
  readonly database: string
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
    return this.#ports.map((port) => `http://127.0.0.1:${port}`).join(',')
  }

  connect(): Promise<Mayfly> {
    return connect(this.url, { apiKey: this.#apiKey })
  }

  /** The first or second controller, 0 or 1. `database` is its way to PostgreSQL, if it has one of its own. */
  controller(index: number, { database = this.#options.database } = {}): Promise<Member> {
    return this.#start([this.#options.command, 'controller'], {
      MAYFLY_LISTEN: `127.0.0.1:${this.#ports[index]}`,
      MAYFLY_DATABASE_URL: database,
      MAYFLY_API_KEY_FILE: join(this.#dir, 'key'),
      MAYFLY_CLUSTER_FILE: join(this.#dir, 'cluster.json'),
    })
  }

  /** A process that can be the metadata server `id`, at a port of its own. */
  metadata(id: string, { database = this.#options.database } = {}): Promise<Member> {
    return this.#start([this.#options.command, 'metadata'], {
      MAYFLY_METADATA_ID: id,
      MAYFLY_DATABASE_URL: database,
    })
  }

  node(): Promise<Member> {
    return this.#start([this.#options.command, 'node'], smallNode)
  }

  /** An S3 gateway. */
  gateway(): Promise<Member> {
    return this.#start([join(this.#options.command, '../../gateway/main.js')], {})
  }

  /** Kills every process. */
  async stop(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.end('SIGKILL')))
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #start(args: readonly string[], settings: NodeJS.ProcessEnv): Promise<Member> {
    const member = await startMember(args, {
      MAYFLY_SECRET_FILE: join(this.#dir, 'secret'),
      MAYFLY_CONTROLLER_URL: this.url,
      MAYFLY_KEPT_DIR: join(this.#dir, 'kept'),
      ...settings,
    })
    this.#members.add(member)
    return member
  }
}
