import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { findOnPath, isExecutable } from './path.ts'
import { freePort, type Server } from './server.ts'

export const postgresMissing =
  'PostgreSQL is missing: there is no initdb (Debian: apt-get install postgresql)'

/** Debian keeps the server's programs outside of the PATH, in one folder for each major version. */
const DEBIAN_DIR = '/usr/lib/postgresql'
/** PostgreSQL refuses to run as root. The first user exists where PostgreSQL is installed, the other on every system. */
const USERS = ['postgres', 'nobody']
const START_MS_MAX = 30_000

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
}

/** A PostgreSQL of its own in a temporary folder, on a free port of loopback. Its target is a URL. */
export class Postgres implements Server {
  readonly target: string
  readonly port: number
  readonly #dir: string
  readonly #options: PostgresOptions
  #child: ChildProcess | null = null
  #databases = 0

  private constructor(dir: string, port: number, options: PostgresOptions) {
    this.#dir = dir
    this.port = port
    this.#options = options
    this.target = `postgres://mayfly@127.0.0.1:${port}/postgres`
  }

  static async start(options: PostgresOptions): Promise<Postgres> {
    const initdb = findPostgres()
    if (initdb === null) throw new Error(postgresMissing)
    const dir = await mkdtemp(join(tmpdir(), 'mayfly-peer-'))
    const as = unprivileged()
    if (as !== null) await chown(dir, as.uid, as.gid)
    const args = ['-D', join(dir, 'data'), '-U', 'mayfly', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N']
    await promisify(execFile)(initdb, args, { cwd: dir, ...as })
    const postgres = new Postgres(dir, await freePort(), options)
    await postgres.resume()
    return postgres
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
      ...['listen_addresses=127.0.0.1', `port=${this.port}`, 'unix_socket_directories='],
      ...['max_connections=200', `fsync=${this.#options.durable ? 'on' : 'off'}`],
      ...(this.#options.settings ?? []),
    ]
    const program = join(findPostgres() ?? '', '..', 'postgres')
    const args = ['-D', join(this.#dir, 'data'), ...settings.flatMap((setting) => ['-c', setting])]
    const child = spawn(program, args, {
      cwd: this.#dir,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
      ...unprivileged(),
    })
    this.#child = child
    await becomesReady(child)
  }

  /** Ends the server like a crash: connections are closed, and nothing more is written. */
  async halt(): Promise<void> {
    await end(this.#child, 'SIGQUIT')
    this.#child = null
  }

  async pids(): Promise<readonly number[]> {
    return this.#child?.pid === undefined ? [] : [this.#child.pid]
  }

  async stop(): Promise<void> {
    await end(this.#child, 'SIGINT')
    await rm(this.#dir, { recursive: true, force: true })
  }
}

async function becomesReady(child: ChildProcess): Promise<void> {
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const fail = (): void => reject(new Error(`PostgreSQL did not become ready:\n${output}`))
    const late = setTimeout(fail, START_MS_MAX)
    child.once('error', fail).once('exit', fail)
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      output = (output + piece).slice(-4096)
      if (!output.includes('ready to accept connections')) return
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
