import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MayflyError } from '../../protocol/errors.ts'
import { NODE_START_MS_MAX, PROCESS_STOP_MS_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Environment } from '../../service/process/environment.ts'
import type { FromChild, ToController } from '../../service/process/supervision.ts'
import { lastReason } from './log-file.ts'

export interface ChildOptions {
  readonly name: string
  /** The JavaScript file that Node runs. */
  readonly program: URL
  /** Of Node; none by default. */
  readonly flags?: readonly string[]
  readonly environment: Environment
  /** Standard error is appended to it. */
  readonly logFile: string
  readonly clock: Clock
  readonly onMessage?: (message: ControllerRequest) => void
}

/** Requests that only the controller sends. */
export type ControllerRequest = Exclude<FromChild, { type: 'ready' }>
export type NodeRequest = Exclude<ControllerRequest, { type: 'startMetadata' }>

/** A process of the cluster. It exits when the channel to this process closes for any reason. */
export class Child {
  /** Undefined if the process could not be started. */
  readonly pid: number | undefined
  /** The reason for its exit, as a phrase; `failed` is false if it was told to stop or exited with 0. */
  readonly exited: Promise<{ reason: string; failed: boolean }>
  readonly #options: ChildOptions
  readonly #process: ChildProcess
  readonly #ready: Promise<string>

  constructor(options: ChildOptions) {
    const log = openSync(options.logFile, 'a', 0o600)
    this.#options = options
    this.#process = spawn(process.execPath, [...(options.flags ?? []), fileURLToPath(options.program)], {
      stdio: ['ignore', 'ignore', log, 'ipc'],
      env: options.environment,
    })
    closeSync(log)
    this.pid = this.#process.pid
    this.exited = new Promise((resolve) => {
      // Without a pid it never started. Of a running process, only `exit` proves its end.
      this.#process.on('error', ({ message }) => {
        if (this.pid === undefined) resolve({ reason: message, failed: true })
      })
      this.#process.once('exit', (code, signal) => {
        // A process that is still starting is ended by SIGTERM itself, as it was told to.
        resolve({ reason: signal ?? `exit code ${code}`, failed: code !== 0 && signal !== 'SIGTERM' })
      })
    })
    this.#ready = new Promise((resolve) => {
      this.#process.on('message', (message: FromChild) => {
        if (message.type === 'ready') resolve(message.address)
        else options.onMessage?.(message)
      })
    })
  }

  /** The address that it serves at. Rejects with `UNAVAILABLE` and the reason from its log if it exits before. */
  serving(): Promise<string> {
    const { name, clock, logFile } = this.#options
    return new Promise((resolve, reject) => {
      const late = clock.after(NODE_START_MS_MAX, () => {
        reject(new MayflyError('UNAVAILABLE', `The ${name} did not serve within ${NODE_START_MS_MAX} ms`))
      })
      void this.#ready.then((address) => {
        late.cancel()
        resolve(address)
      })
      void this.exited.then(({ reason }) => {
        late.cancel()
        const why = lastReason(logFile) ?? `The ${name} ended (${reason}); its log is ${logFile}`
        reject(new MayflyError('UNAVAILABLE', why))
      })
    })
  }

  /** A message to a process that has exited is dropped; its successor asks again. */
  send(message: ToController): void {
    if (this.#process.connected) this.#process.send(message, () => undefined)
  }

  /** Asks the process to stop, and kills it after `PROCESS_STOP_MS_MAX`. Resolves when it has exited. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    const kill = this.#options.clock.after(PROCESS_STOP_MS_MAX, () => this.kill())
    await this.exited
    kill.cancel()
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }
}
