import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { processTree } from './process-stat.ts'

/** The built command: this file is dist/bench/cluster.js. */
const command = fileURLToPath(new URL('../cli/main.js', import.meta.url))

export interface NodeClassConfig {
  readonly ramBytes: number
  readonly nodesMax: number
  /** 1 GB/s if not given. */
  readonly bytesPerSecond?: number
}

export interface NodeView {
  readonly id: string
  readonly state: string
  readonly address: string
  readonly pid: number
  readonly tiers: { readonly ram?: { readonly usedBytes: number } }
}

/** A cluster of real processes in a temporary folder, as `mayfly up` starts it. */
export class Cluster {
  readonly url: string
  readonly apiKey: string
  readonly #dir: string
  readonly #process: ChildProcess

  private constructor(dir: string, credentials: { url: string; apiKey: string }, child: ChildProcess) {
    this.#dir = dir
    this.url = credentials.url
    this.apiKey = credentials.apiKey
    this.#process = child
  }

  static async start(
    nodeClass: NodeClassConfig,
    environment: NodeJS.ProcessEnv = {},
    metadataServers = 1,
  ): Promise<Cluster> {
    const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-'))
    const config = join(dir, 'config.json')
    const node = { name: 'bench', cores: 1, bytesPerSecond: 1e9, pricePerHour: 0, ...nodeClass }
    await writeFile(config, JSON.stringify({ metadataServers, warmNodes: 1, nodeClasses: [node] }))
    const child = spawn(
      process.execPath,
      [command, 'up', '--port', '0', '--dir', join(dir, 'state'), '--config', config, '--json'],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...environment } },
    )
    for await (const line of createInterface({ input: child.stdout })) {
      const { credentials } = JSON.parse(line) as { credentials: string }
      return new Cluster(dir, JSON.parse(await readFile(credentials, 'utf8')), child)
    }
    throw new Error('`mayfly up` ended before it was ready')
  }

  async call<Answer>(method: string, path: string): Promise<Answer> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: { authorization: `Bearer ${this.apiKey}` },
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
    return (await response.json()) as Answer
  }

  async nodes(): Promise<readonly NodeView[]> {
    return (await this.call<{ nodes: NodeView[] }>('GET', '/v1/nodes')).nodes
  }

  /** Those that have reported; waits for the first. */
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

  /** A ticket with the placement of this moment. */
  async ticket(job: string): Promise<string> {
    return (await this.call<{ ticket: string }>('GET', `/v1/jobs/${job}`)).ticket
  }

  /** Of all its processes: the nodes and what controls them. */
  pids(): Promise<number[]> {
    return processTree(this.#process.pid as number)
  }

  /** The processes of the planes; there are some of each. */
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
