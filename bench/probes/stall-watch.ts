import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const probe = new URL('stall-probe.js', import.meta.url)
const LOOK_MS = 5
const ANSWER_MS_MAX = 60_000

/** Measures how long the event loops of Node processes stall, by a probe that is preloaded into them. */
export class StallWatch {
  readonly #dir: string

  private constructor(dir: string) {
    this.#dir = dir
  }

  static async start(): Promise<StallWatch> {
    return new StallWatch(await mkdtemp(join(tmpdir(), 'mayfly-stalls-')))
  }

  /** Environment in which a process has to be started to be watched. Its child processes inherit it. */
  get environment(): NodeJS.ProcessEnv {
    return { NODE_OPTIONS: `--import=${probe}`, MAYFLY_BENCH_STALLS: this.#dir }
  }

  /** The longest stall of any of the processes since the last call. */
  async longestMs(pids: readonly number[]): Promise<number> {
    return Math.max(...(await Promise.all(pids.map((pid) => this.#ask(pid)))))
  }

  async stop(): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #ask(pid: number): Promise<number> {
    const file = join(this.#dir, String(pid))
    process.kill(pid, 'SIGUSR2')
    for (const endMs = performance.now() + ANSWER_MS_MAX; performance.now() < endMs; ) {
      try {
        const ms = Number(await readFile(file, 'utf8'))
        await rm(file)
        return ms
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        await sleep(LOOK_MS)
      }
    }
    throw new Error(`process ${pid} told nothing of its stalls`)
  }
}
