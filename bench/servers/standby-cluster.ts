import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Mayfly } from '../../client/connect.ts'
import { freePort } from './server.ts'

/** A process that serves, or waits until it leads. */
export interface Member {
  readonly child: ChildProcess
  /** Where its `/readyz` is. */
  readonly probes: string
  /** Resolves with its address once it serves; a standby does when it leads. */
  readonly ready: Promise<string>
  readonly exited: Promise<unknown>
  /** Resolves once it answers its probes: it may take over from then on. */
  waiting(): Promise<void>
  /** Its log so far. */
  log(): string
}

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
    const write = (name: string, text: string) => writeFile(join(cluster.#dir, name), text, { mode: 0o600 })
    const nodeClass = { name: 'small', cores: 1, ramBytes: 2 ** 28, ssdBytes: 0, bytesPerSecond: 1e9 }
    const config = { warmNodes: 0, nodeClasses: [{ ...nodeClass, pricePerHour: 0, nodesMax: 8 }] }
    await write('secret', randomBytes(32).toString('hex'))
    await write('key', cluster.#apiKey)
    await write('cluster.json', JSON.stringify(config))
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
    return this.#start('controller', {
      MAYFLY_LISTEN: `127.0.0.1:${this.#ports[index]}`,
      MAYFLY_DATABASE_URL: database,
      MAYFLY_API_KEY_FILE: join(this.#dir, 'key'),
      MAYFLY_CLUSTER_FILE: join(this.#dir, 'cluster.json'),
    })
  }

  /** A process that can be the metadata server `id`, at a port of its own. */
  metadata(id: string, { database = this.#options.database } = {}): Promise<Member> {
    return this.#start('metadata', { MAYFLY_METADATA_ID: id, MAYFLY_DATABASE_URL: database })
  }

  node(): Promise<Member> {
    return this.#start('node', {
      MAYFLY_NODE_CLASS: 'small',
      MAYFLY_NODE_RAM_BYTES: String(2 ** 28),
      MAYFLY_NODE_BYTES_PER_SECOND: String(1e9),
    })
  }

  /** Kills every process. */
  async stop(): Promise<void> {
    for (const { child } of this.#members) child.kill('SIGKILL')
    await Promise.all([...this.#members].map(({ exited }) => exited))
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #start(verb: string, settings: NodeJS.ProcessEnv): Promise<Member> {
    const probes = `127.0.0.1:${await freePort()}`
    const child = spawn(process.execPath, [this.#options.command, verb], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env.PATH,
        MAYFLY_SECRET_FILE: join(this.#dir, 'secret'),
        MAYFLY_CONTROLLER_URL: this.url,
        MAYFLY_METRICS_LISTEN: probes,
        MAYFLY_KEPT_DIR: join(this.#dir, 'kept'),
        ...settings,
      },
    })
    const exited = once(child, 'exit')
    const lines: string[] = []
    const ready = new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        lines.push(line)
        const { msg, address } = JSON.parse(line) as { msg?: string; address?: string }
        if (msg === 'ready' && address !== undefined) resolve(address)
      })
      void exited.then(() => reject(new Error(`mayfly ${verb} ended: ${lines.at(-1)}`)))
    })
    // A standby may end without having led.
    ready.catch(() => undefined)
    const member = {
      child,
      probes,
      ready,
      exited,
      waiting: () => answers(probes),
      log: () => lines.join('\n'),
    }
    this.#members.add(member)
    return member
  }
}

async function answers(probes: string): Promise<void> {
  for (;;) {
    const answered = await fetch(`http://${probes}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answered) return
    await sleep(20)
  }
}
