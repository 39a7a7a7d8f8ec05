import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { fetchTrusting } from '../../protocol/transport/trusting-fetch.ts'
import type { S3Settings } from '../../service/s3/s3-settings.ts'
import { processTree } from '../probes/process-stat.ts'

/** The built command. This file is dist/bench/servers/cluster.js. */
export const command = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

export interface NodeClassConfig {
  readonly ramBytes: number
  /** No SSD tier by default. */
  readonly ssdBytes?: number
  readonly nodesMax: number
  /** Default 1e9. */
  readonly bytesPerSecond?: number
  /** Default 0. */
  readonly pricePerHour?: number
}

interface Surroundings {
  readonly environment?: NodeJS.ProcessEnv
  /** Default 1. */
  readonly warmNodes?: number
  /** The lowest tier; none by default. */
  readonly s3?: S3Settings | undefined
  /** Default 1. */
  readonly metadataServers?: number
  /** URL of the PostgreSQL that stores the decisions; SQLite by default. */
  readonly database?: string | undefined
  /** Default false. */
  readonly tls?: boolean
}

export interface NodeView {
  readonly id: string
  readonly state: string
  readonly address: string
  readonly pid: number
  readonly tiers: { readonly ram?: { readonly usedBytes: number; readonly reservedBytes: number } }
  readonly bytesPerSecond: { readonly capacity: number; readonly reserved: number; readonly used: number }
}

export interface ToldEvent {
  readonly atMs: number
  readonly data: Readonly<Record<string, unknown>>
}

interface Credentials {
  readonly url: string
  readonly apiKey: string
  readonly caFile?: string
}

/** A cluster of real processes in a temporary folder, started by `mayfly up`. */
export class Cluster {
  readonly url: string
  readonly apiKey: string
  /** Undefined without TLS. */
  readonly caFile: string | undefined
  readonly #dir: string
  readonly #process: ChildProcess

  private constructor(dir: string, credentials: Credentials, child: ChildProcess) {
    this.#dir = dir
    this.url = credentials.url
    this.apiKey = credentials.apiKey
    this.caFile = credentials.caFile
    this.#process = child
  }

  static async start(
    nodeClass: NodeClassConfig,
    { environment = {}, warmNodes = 1, metadataServers = 1, s3, database, tls = false }: Surroundings = {},
  ): Promise<Cluster> {
    const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-'))
    const config = join(dir, 'config.json')
    const node = { name: 'bench', cores: 1, bytesPerSecond: 1e9, pricePerHour: 0, ...nodeClass }
    const settings = {
      metadataServers,
      warmNodes,
      nodeClasses: [node],
      ...(s3 && { s3 }),
      ...(database && { database }),
    }
    await writeFile(config, JSON.stringify(settings), { mode: 0o600 })
    const child = spawn(
      process.execPath,
      [command, 'up', '--port', '0', '--dir', join(dir, 'state'), '--config', config, '--json'].concat(
        tls ? ['--tls'] : [],
      ),
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...environment } },
    )
    for await (const line of createInterface({ input: child.stdout })) {
      const { credentials } = JSON.parse(line) as { credentials: string }
      return new Cluster(dir, JSON.parse(await readFile(credentials, 'utf8')), child)
    }
    throw new Error('`mayfly up` ended before it was ready')
  }

  /** In PEM. */
  get ca(): string | undefined {
    return this.caFile === undefined ? undefined : readFileSync(this.caFile, 'utf8')
  }

  async call<Answer>(method: string, path: string, content?: unknown): Promise<Answer> {
    const type = content === undefined ? {} : { 'content-type': 'application/json' }
    const request = {
      method,
      headers: { authorization: `Bearer ${this.apiKey}`, ...type },
      ...(content !== undefined && { body: JSON.stringify(content) }),
    }
    const response = await fetchTrusting(new URL(path, this.url), request, this.ca ?? null)
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
    return (await response.json()) as Answer
  }

  async nodes(): Promise<readonly NodeView[]> {
    return (await this.call<{ nodes: NodeView[] }>('GET', '/v1/nodes')).nodes
  }

  /** Resolves with the first event of the type since `sinceMs` (ms since the Unix epoch), or with null if none arrives within `withinMs`. */
  async event(type: string, sinceMs: number, withinMs: number): Promise<ToldEvent | null> {
    const late = AbortSignal.timeout(withinMs)
    const headers = { authorization: `Bearer ${this.apiKey}`, 'last-event-id': '0' }
    try {
      const response = await fetch(new URL('/v1/events', this.url), { headers, signal: late })
      let text = ''
      for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const told = (text + piece).split('\n\n')
        text = told.pop() ?? ''
        for (const event of told.filter((each) => each.includes(`event: ${type}\n`))) {
          const data = JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '{}')
          if (Date.parse(data.at) >= sinceMs) return { atMs: Date.parse(data.at), data }
        }
      }
      throw new Error('the controller has ended its events')
    } catch (error) {
      if (late.aborted) return null
      throw error
    }
  }

  /** Process id of `mayfly up`, the parent of all others. */
  get pid(): number {
    return this.#process.pid as number
  }

  async controllerPid(): Promise<number> {
    for (const pid of await this.pids()) {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      if (command.includes('/controller/main.js')) return pid
    }
    throw new Error('no controller runs')
  }

  /** Nodes that have reported; waits for the first. */
  async activeNodes(): Promise<readonly NodeView[]> {
    for (let tries = 0; tries < 100; tries++) {
      const active = (await this.nodes()).filter(({ state }) => state === 'active')
      if (active.length > 0) return active
      await sleep(100)
    }
    return []
  }

  get stateDir(): string {
    return join(this.#dir, 'state')
  }

  /** A ticket with the current placement. */
  async ticket(job: string): Promise<string> {
    return (await this.call<{ ticket: string }>('GET', `/v1/jobs/${job}`)).ticket
  }

  /** The supervisor, controller, metadata servers and storage nodes. */
  pids(): Promise<number[]> {
    return processTree(this.pid)
  }

  /** Process ids of the metadata servers and of the storage nodes; at least one of each. */
  async pidsByPlane(): Promise<Record<'metadata' | 'storage-node', number[]>> {
    const pids = await this.pids()
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8')))
    const of = (plane: string): number[] =>
      pids.filter((_, index) => lines[index]?.includes(`/${plane}/main.js`))
    return { metadata: of('metadata'), 'storage-node': of('storage-node') }
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGTERM')
      await once(this.#process, 'exit')
    }
    await rm(this.#dir, { recursive: true, force: true })
  }
}
