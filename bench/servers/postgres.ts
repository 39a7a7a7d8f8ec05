import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Place } from './member.ts'
import { findOnPath, isExecutable } from './path.ts'
import { freePort, type Server } from './server.ts'

export const postgresMissing =
  'PostgreSQL is missing: there is no initdb (Debian: apt-get install postgresql)'

/** Debian keeps the server's programs outside of the PATH, in one folder for each major version. */
const DEBIAN_DIR = '/usr/lib/postgresql'
/** PostgreSQL refuses to run as root. The first user exists where PostgreSQL is installed, the other on every system. */
const USERS = ['postgres', 'nobody']
/** On a machine of its own; elsewhere it is a free one. */
const PORT = 5432
const START_MS_MAX = 30_000
const PRINTED_CHARACTERS = 2 ** 16

/** Path of `initdb`, which lies beside `postgres`; null if PostgreSQL is not installed. */
export function findPostgres(): string | null {
  const versions = existsSync(DEBIAN_DIR) ? readdirSync(DEBIAN_DIR).sort((a, b) => Number(b) - Number(a)) : []
  const files = versions.map((version) => join(DEBIAN_DIR, version, 'bin', 'initdb'))
  return files.find(isExecutable) ?? findOnPath('initdb')
}

export interface PostgresOptions {
  /** Whether commits are synced to disk. Tests do not need that, because they crash no machine. */
  readonly durable: boolean
  /** Further settings of the server, `name=value`. */
  readonly settings?: readonly string[]
  /** By default this machine, on loopback. */
  readonly on?: Place
  /** The folder in which that of the server lies. */
  readonly parent?: string
  /** Another folder for that of the log (WAL). */
  readonly logParent?: string
}

/** Whoever reaches the server is trusted: that is this machine, or those of a network of their own. */
const ACCESS = 'host all all all trust\nhost replication all all trust\n'

/** A PostgreSQL of its own in a temporary folder, on a free port. Its target is a URL. */
export class Postgres implements Server {
  readonly target: string
  readonly port: number
  readonly #dir: string
  readonly #folders: string[]
  readonly #options: PostgresOptions
  #child: ChildProcess | null = null
  #databases = 0
  #printed = ''

  private constructor(dir: string, port: number, options: PostgresOptions) {
    this.#dir = dir
    this.#folders = [dir]
    this.port = port
    this.#options = options
    this.target = `postgres://mayfly@${this.#address}:${port}/postgres`
  }

  static async start(options: PostgresOptions): Promise<Postgres> {
    const logDir = options.logParent === undefined ? null : await ownFolder(options.logParent)
    const log = logDir === null ? [] : ['-X', join(logDir, 'log')]
    const args = ['-U', 'mayfly', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N', ...log]
    const postgres = await Postgres.#prepare(options, 'initdb', args)
    if (logDir !== null) postgres.#folders.push(logDir)
    await writeFile(join(postgres.#dir, 'data', 'pg_hba.conf'), ACCESS)
    await postgres.resume()
    return postgres
  }

  /** A server that follows this one, and can be promoted. */
  async replicate(options: PostgresOptions): Promise<Postgres> {
    const from = ['-h', this.#address, '-p', String(this.port), '-U', 'mayfly', '-R', '-c', 'fast']
    const replica = await Postgres.#prepare(options, 'pg_basebackup', from)
    await replica.resume()
    return replica
  }

  /** Resolves when the replica takes writes. */
  async promote(): Promise<void> {
    const client = new Client({ connectionString: this.target })
    await client.connect()
    await client.query('SELECT pg_promote()')
    await client.end()
  }

  static async #prepare(
    options: PostgresOptions,
    program: string,
    args: readonly string[],
  ): Promise<Postgres> {
    if (findPostgres() === null) throw new Error(postgresMissing)
    const dir = await ownFolder(options.parent ?? tmpdir())
    const postgres = new Postgres(dir, options.on === undefined ? await freePort() : PORT, options)
    const child = postgres.#spawn(program, args)
    let said = ''
    child.stderr?.on('data', (text) => {
      said += text
    })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`${program} ended with ${code}:\n${said}`)
    return postgres
  }

  get #address(): string {
    return this.#options.on?.address ?? '127.0.0.1'
  }

  /** A program of PostgreSQL, for the folder of this server, on its machine. */
  #spawn(program: string, args: readonly string[]): ChildProcess {
    const as = unprivileged()
    const drop = as === null ? [] : ['setpriv', `--reuid=${as.uid}`, `--regid=${as.gid}`, '--clear-groups']
    const file = join(findPostgres() ?? '', '..', program)
    const [first = '', ...words] = [...(this.#options.on?.prefix ?? []), ...drop, file]
    return spawn(first, [...words, '-D', join(this.#dir, 'data'), ...args], {
      cwd: this.#dir,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    })
  }

  /** URL of an empty database. */
  async createDatabase(): Promise<string> {
    const name = `database_${++this.#databases}`
    const client = new Client({ connectionString: this.target })
    await client.connect()
    await client.query(`CREATE DATABASE ${name}`)
    await client.end()
    return this.target.replace(/[^/]*$/, name)
  }

  /** Starts the server again after `halt`, on the same port and with the same data. */
  async resume(): Promise<void> {
    const settings = [
      ...[`listen_addresses=${this.#address}`, `port=${this.port}`, 'unix_socket_directories='],
      ...['max_connections=200', `fsync=${this.#options.durable ? 'on' : 'off'}`],
      ...(this.#options.settings ?? []),
    ]
    const child = this.#spawn(
      'postgres',
      settings.flatMap((setting) => ['-c', setting]),
    )
    this.#child = child
    this.#printed = ''
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      this.#printed = (this.#printed + piece).slice(-PRINTED_CHARACTERS)
    })
    await becomesReady(child, () => this.#printed)
  }

  /** Ends the server like a crash: connections are closed, and nothing more is written. SIGKILL leaves that to its processes, which see it. */
  async halt(signal: 'SIGQUIT' | 'SIGKILL' = 'SIGQUIT'): Promise<void> {
    await end(this.#child, signal)
    this.#child = null
  }

  /** Resolves when the server has ended, also by itself. */
  get exited(): Promise<unknown> {
    const child = this.#child
    return child === null || child.exitCode !== null ? Promise.resolve() : once(child, 'exit')
  }

  /** What the server has printed since it was started last. */
  get printed(): string {
    return this.#printed
  }

  async pids(): Promise<readonly number[]> {
    return this.#child?.pid === undefined ? [] : [this.#child.pid]
  }

  async stop(): Promise<void> {
    await end(this.#child, 'SIGINT')
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true })
  }
}

/** A folder of the server's user. */
async function ownFolder(parent: string): Promise<string> {
  const dir = await mkdtemp(join(parent, 'mayfly-peer-'))
  const as = unprivileged()
  if (as !== null) await chown(dir, as.uid, as.gid)
  return dir
}

async function becomesReady(child: ChildProcess, printed: () => string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (): void => reject(new Error(`PostgreSQL did not become ready:\n${printed()}`))
    const late = setTimeout(fail, START_MS_MAX)
    child.once('error', fail).once('exit', fail)
    child.stderr?.on('data', () => {
      // Of a replica: read-only connections.
      if (!/ready to accept (read-only )?connections/.test(printed())) return
      clearTimeout(late)
      child.off('exit', fail)
      resolve()
    })
  })
}

async function end(child: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

/** The user that the server runs as; null where this process is not root, and can run it itself. */
function unprivileged(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  const entries = USERS.map((user) => lines.find((line) => line.startsWith(`${user}:`)))
  const [, , uid, gid] = entries.find((entry) => entry !== undefined)?.split(':') ?? []
  return { uid: Number(uid), gid: Number(gid) }
}
