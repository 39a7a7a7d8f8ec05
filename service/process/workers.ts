import cluster from 'node:cluster'
import { MayflyError } from '../../protocol/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../protocol/limits.ts'
import { backoffMs, type Runtime } from '../../protocol/runtime.ts'
import type { Service } from './lifecycle.ts'
import type { Logger } from './log.ts'
import type { FromWorker } from './supervision.ts'

interface WorkersOptions {
  readonly count: number
  readonly runtime: Runtime
  readonly log: Logger
}

/** A worker that lived so long has not failed because of its start. */
const STABLE_MS = 60_000

/**
 * Processes that run this program again and share its listeners: this process accepts connections and gives them to its workers in turn
 * (node:cluster). A worker that ends is started again.
 */
class Workers {
  readonly #options: WorkersOptions
  readonly #exits = new Set<Promise<void>>()
  #failures = 0
  #stopping = false

  constructor(options: WorkersOptions) {
    this.#options = options
  }

  /** Resolves with the address that all serve. Rejects with `UNAVAILABLE` and the reason of a worker that cannot start. */
  async start(): Promise<string> {
    const { count } = this.#options
    // The first one binds the listener, whose port the others share.
    const address = await this.#startOne()
    await Promise.all(Array.from({ length: count - 1 }, () => this.#startOne()))
    return address
  }

  async stop(): Promise<void> {
    this.#stopping = true
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM')
    await Promise.all(this.#exits)
  }

  #startOne(): Promise<string> {
    const { clock } = this.#options.runtime
    const startedMs = clock.monotonicMs()
    let reason: string | null = null
    let isReady = false
    return new Promise((resolve, reject) => {
      const worker = cluster.fork()
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') {
          isReady = true
          resolve(message.address)
        } else if (message.type === 'failed') reason = message.reason
      })
      const exit = new Promise<void>((exited) => {
        worker.once('error', (error) => {
          reason ??= error.message
          if (worker.process.pid === undefined) exited()
        })
        worker.once('exit', (code, signal) => {
          const end = (): void => {
            reason ??= signal ?? `exit code ${code}`
            exited()
          }
          // Its last message, the reason, may still be in the channel.
          if (worker.isConnected()) worker.once('disconnect', end)
          else end()
        })
      })
      this.#exits.add(exit)
      void exit.then(() => {
        this.#exits.delete(exit)
        if (clock.monotonicMs() - startedMs >= STABLE_MS) this.#failures = 0
        if (isReady) this.#startAgain(reason)
        else reject(new MayflyError('UNAVAILABLE', reason ?? 'a worker did not start'))
      })
    })
  }

  #startAgain(reason: string | null): void {
    if (this.#stopping) return
    const { log, runtime } = this.#options
    log.warn({ reason }, 'a worker ended; it is started again')
    const ms = backoffMs(this.#failures++, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, runtime.random)
    runtime.clock.after(ms, () => {
      if (this.#stopping) return
      this.#startOne().catch((error: MayflyError) => this.#startAgain(error.message))
    })
  }
}

/** Runs this program in several processes, of which this one serves nothing itself. Rejects as `Workers.start`. */
export async function startWorkers(options: WorkersOptions): Promise<Service> {
  const workers = new Workers(options)
  const address = await workers.start()
  return { address, stop: () => workers.stop() }
}
