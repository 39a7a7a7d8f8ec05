import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type LoggedCall, readCallLog } from './call-log.ts'
import { childAnswer } from './child-answer.ts'

export interface LoadOptions {
  readonly ticket: string
  /** Index of this client, from 0 to `clients` - 1. */
  readonly client: number
  readonly clients: number
  /** Calls under way in each group of objects. */
  readonly lanes: number
  readonly objects: number
  readonly objectBytes: number
  readonly logFile: string
}

/** `groups` are numbers of objects. A lane uses one group, so that a group that stalls does not delay the others. */
export type ToLoadClient =
  | { readonly type: 'start'; readonly groups: readonly (readonly number[])[] }
  | { readonly type: 'stop' }
export type FromLoadClient =
  | { readonly type: 'filled' }
  | { readonly type: 'stopped'; readonly problems: readonly string[] }

const program = fileURLToPath(new URL('load-client.js', import.meta.url))

/** Several processes that first put every object once and then, on command, put and get at full speed. */
export class Load {
  readonly #children: readonly { process: ChildProcess; logFile: string }[]

  private constructor(children: readonly { process: ChildProcess; logFile: string }[]) {
    this.#children = children
  }

  /** Resolves when every object has been put. Logs are written into `dir`. */
  static async fill(options: Omit<LoadOptions, 'client' | 'logFile'> & { dir: string }): Promise<Load> {
    const { dir, ...shared } = options
    const children = Array.from({ length: options.clients }, (_, client) => {
      const logFile = join(dir, `calls-${client}`)
      const own: LoadOptions = { ...shared, client, logFile }
      return { process: fork(program, [JSON.stringify(own)]), logFile }
    })
    const load = new Load(children)
    await Promise.all(children.map((child) => childAnswer<FromLoadClient, 'filled'>(child.process, 'filled')))
    return load
  }

  start(groups: readonly (readonly number[])[]): void {
    for (const child of this.#children) child.process.send({ type: 'start', groups } satisfies ToLoadClient)
  }

  /** Resolves with every call since `start`, and with the errors and wrong answers. */
  async stop(): Promise<{ calls: LoggedCall[]; problems: string[] }> {
    const answers = await Promise.all(
      this.#children.map(async ({ process, logFile }) => {
        process.send({ type: 'stop' } satisfies ToLoadClient)
        const { problems } = await childAnswer<FromLoadClient, 'stopped'>(process, 'stopped')
        return { problems, calls: await readCallLog(logFile) }
      }),
    )
    return {
      calls: answers.flatMap(({ calls }) => calls),
      problems: answers.flatMap(({ problems }) => problems),
    }
  }

  /** Kills the processes. */
  async end(): Promise<void> {
    await Promise.all(
      this.#children.map(async ({ process }) => {
        if (process.exitCode !== null || process.signalCode !== null) return
        process.kill('SIGKILL')
        await once(process, 'exit')
      }),
    )
  }
}
