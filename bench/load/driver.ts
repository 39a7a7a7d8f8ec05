import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SystemName } from '../clients/open.ts'
import type { Params, Result, TaskName } from '../tasks/tasks.ts'

/** The answer of a driver: the task's result for each client and the CPU cost of all, or the error. */
export type Answer =
  | { readonly type: 'done'; readonly results: readonly unknown[]; readonly cpuSeconds: number }
  | { readonly type: 'failed'; readonly message: string }

/** A task that takes longer than this has failed: MinIO takes a minute for 4 GiB. */
const TASK_MS_MAX = 5 * 60_000

const program = fileURLToPath(new URL('driver-process.js', import.meta.url))

/** One process that uses one system, as one function does, with one client or several. It runs one task at a time, on all of them at once. */
export class Driver {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Resolves when the library is loaded and the clients are connected. */
  static async start(system: SystemName, target: string, clients = 1): Promise<Driver> {
    const driver = new Driver(fork(program, [system, target, String(clients)]))
    await driver.#answer()
    return driver
  }

  async run<Name extends TaskName>(
    name: Name,
    params: Params<Name>,
  ): Promise<{ results: readonly Result<Name>[]; cpuSeconds: number }> {
    const answer = this.#answer()
    this.#child.send({ name, params })
    const { results, cpuSeconds } = await answer
    return { results: results as readonly Result<Name>[], cpuSeconds }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  #answer(): Promise<Extract<Answer, { type: 'done' }>> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => {
        clearTimeout(timer)
        reject(new Error(`a client process ended with ${code}`))
      }
      const timer = setTimeout(() => {
        reject(new Error(`a client process has not answered after ${TASK_MS_MAX / 1000} s`))
      }, TASK_MS_MAX)
      this.#child.once('exit', onExit)
      this.#child.once('message', (answer: Answer) => {
        clearTimeout(timer)
        this.#child.off('exit', onExit)
        if (answer.type === 'done') resolve(answer)
        else reject(new Error(answer.message))
      })
    })
  }
}
