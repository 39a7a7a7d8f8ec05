import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type LoggedCall, readCallLog } from './call-log.ts'
import { childAnswer } from './child-answer.ts'

export interface PacedOptions {
  readonly ticket: string
  readonly lanes: number
  readonly objects: number
  readonly objectBytes: number
  readonly logFile: string
}

export type ToPacedClient =
  | { readonly type: 'pace'; readonly bytesPerSecond: number }
  | { readonly type: 'stop' }
export type FromPacedClient =
  | { readonly type: 'progress'; readonly movedBytes: number; readonly calls: number }
  | { readonly type: 'stopped'; readonly problems: readonly string[] }

const program = fileURLToPath(new URL('paced-client.js', import.meta.url))

/** A process that puts and gets at a given rate in bytes per second; at 0 until the first command. */
export class PacedLoad {
  readonly #process: ChildProcess
  readonly #logFile: string
  #movedBytes = 0

  private constructor(process: ChildProcess, logFile: string) {
    this.#process = process
    this.#logFile = logFile
    process.on('message', (message: FromPacedClient) => {
      if (message.type === 'progress') this.#movedBytes = message.movedBytes
    })
  }

  /** Resolves once it has opened the job. Its log is written into `dir`. */
  static async open(
    options: Omit<PacedOptions, 'logFile'> & { dir: string; name: string },
  ): Promise<PacedLoad> {
    const { dir, name, ...shared } = options
    const logFile = join(dir, `calls-${name}`)
    const child = fork(program, [JSON.stringify({ ...shared, logFile } satisfies PacedOptions)])
    const load = new PacedLoad(child, logFile)
    await childAnswer<FromPacedClient, 'progress'>(child, 'progress')
    return load
  }

  /** Payload of the calls that have succeeded, updated four times a second. */
  get movedBytes(): number {
    return this.#movedBytes
  }

  pace(bytesPerSecond: number): void {
    this.#tell({ type: 'pace', bytesPerSecond })
  }

  /** Resolves with every call, and with the errors and wrong answers; the process exits. */
  async stop(): Promise<{ calls: LoggedCall[]; problems: readonly string[] }> {
    this.#tell({ type: 'stop' })
    const { problems } = await childAnswer<FromPacedClient, 'stopped'>(this.#process, 'stopped')
    const calls = await readCallLog(this.#logFile)
    await this.end()
    return { calls, problems }
  }

  /** Kills the process. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }

  #tell(message: ToPacedClient): void {
    this.#process.send(message)
  }
}
