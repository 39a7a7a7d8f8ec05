import { readdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Option } from 'commander'
import { sleep, systemRuntime } from '../../../protocol/runtime.ts'
import { stateDirOf } from '../../api/credentials.ts'
import { interruption } from '../../api/open-job.ts'
import { formatLine, type Level, type LogLine, levels, parseLine } from '../../terminal/log-text.ts'
import { painter } from '../../terminal/terminal.ts'
import { LOG_BYTES_MAX } from '../../up/log-folder.ts'
import { stateFolderAt } from '../../up/state-folder.ts'
import { wholeNumber } from '../../values.ts'
import { type AddVerb, addVerb, exitCodes, type JsonFlag, jsonOption, notEmpty, onRun } from '../../verb.ts'

/** Interval at which files are checked for new lines. */
const LOOK_MS = 250
const READ_BYTES_MAX = 2 * LOG_BYTES_MAX

interface Flags extends JsonFlag {
  readonly dir?: string
  readonly follow?: boolean
  readonly lines: number
  readonly level: Level
  readonly process?: readonly string[]
  readonly request?: string
}

export const logs: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'logs', {
    summary: 'show the logs of all processes of a cluster on this machine, in order of time',
    details:
      'Processes are named controller, metadata-1 and by the ids of storage nodes. What an HTTP request, or a step of the\ncontrol loop, caused in any of them has its id: that of the header X-Request-Id of its answer, shown as request=.',
    examples: [
      'mayfly logs',
      'mayfly logs --follow --level warn',
      'mayfly logs --process controller --lines 20',
      'mayfly logs --request 5f0c4d3e-8a3b-4d0c-9c39-0a4b1f6f6f0e',
    ],
  })
    .option('-f, --follow', 'go on with new lines until Ctrl-C')
    .option('-n, --lines <n>', 'show this many of the last lines', wholeNumber(0, 1e6), 100)
    .addOption(
      new Option('--level <level>', 'only lines of this level or above').choices(levels).default('debug'),
    )
    .option('--process <names...>', 'only the logs of these processes')
    .option('--request <id>', 'only what the HTTP request of this id caused, in all processes')
    .option('--dir <folder>', 'the state folder of the cluster', notEmpty)
  jsonOption(verb, 'the lines as they were written')
  onRun<Flags>(verb, cli, async (_, flags) => {
    const { terminal } = cli
    const folder = stateFolderAt(stateDirOf(flags, cli.config)).logsDir
    const files = new LogFiles(folder, flags.process)
    const least = levels.indexOf(flags.level)
    const paint = painter(terminal)
    const show = (lines: readonly LogLine[]): void => {
      for (const line of lines) terminal.print(flags.json === true ? line.text : formatLine(line, paint))
    }
    const isShown = ({ level, fields }: LogLine): boolean =>
      levels.indexOf(level) >= least && (flags.request === undefined || fields.request === flags.request)
    show(await files.read(isShown, flags.lines))
    if (flags.follow !== true) return exitCodes.done
    const { signal, release } = interruption()
    while (!signal.aborted) {
      await sleep(systemRuntime.clock, LOOK_MS)
      show(await files.read(isShown))
    }
    release()
    return exitCodes.interrupted
  })
}

/** The log files of a cluster, each with the position up to which it was read. */
class LogFiles {
  readonly #folder: string
  readonly #wanted: readonly string[] | undefined
  readonly #places = new Map<string, number>()

  constructor(folder: string, wanted: readonly string[] | undefined) {
    this.#folder = folder
    this.#wanted = wanted
  }

  /** New lines of all files that `isShown`, by time: the last `most`. Throws if the cluster has no logs here. */
  async read(isShown: (line: LogLine) => boolean, most = Number.POSITIVE_INFINITY): Promise<LogLine[]> {
    const files: LogLine[][] = []
    for (const name of this.#names()) files.push(lastOf((await this.#readFile(name)).filter(isShown), most))
    return lastOf(files.flat(), most)
  }

  #names(): string[] {
    try {
      const names = readdirSync(this.#folder)
        .filter((file) => file.endsWith('.log'))
        .map((file) => file.slice(0, -'.log'.length))
      const missing = this.#wanted?.find((name) => !names.includes(name))
      if (missing !== undefined)
        throw new Error(`no process is called '${missing}'; there are ${names.sort().join(', ')}`)
      return names.filter((name) => this.#wanted?.includes(name) ?? true)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      throw new Error(
        `no cluster has run here (${this.#folder} is missing); logs are on the machine and in the --dir of \`mayfly up\``,
      )
    }
  }

  async #readFile(name: string): Promise<LogLine[]> {
    const path = join(this.#folder, `${name}.log`)
    const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
      // The node ended, and its log with it.
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (handle === null) return []
    try {
      const { size } = await handle.stat()
      const known = this.#places.get(name) ?? 0
      // The file has become shorter: it was rotated, and is read from its start.
      const from = size < known ? 0 : known
      const bytes = Buffer.alloc(Math.min(READ_BYTES_MAX, size - from))
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, from)
      // A line that is half written is read next time.
      const whole = bytes.subarray(0, bytes.subarray(0, bytesRead).lastIndexOf('\n') + 1)
      this.#places.set(name, from + whole.length)
      const texts = whole.toString().split('\n').slice(0, -1)
      return texts.map((text) => parseLine(text, name))
    } finally {
      await handle.close()
    }
  }
}

/** The last lines by time. */
function lastOf(lines: LogLine[], most: number): LogLine[] {
  lines.sort((a, b) => a.atMs - b.atMs)
  return most === 0 ? [] : lines.slice(-most)
}
