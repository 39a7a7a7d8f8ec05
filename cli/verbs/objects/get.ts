import type { GetStreamOptions } from '../../../client/index.ts'
import { WAIT_SECONDS_MAX } from '../../../protocol/limits.ts'
import { bucketOf, bucketOption, type JobFlags, jobArgument, onJob, type Use } from '../../api/open-job.ts'
import { Progress } from '../../terminal/progress.ts'
import { printable } from '../../terminal/table.ts'
import type { Terminal } from '../../terminal/terminal.ts'
import { seconds } from '../../values.ts'
import { type AddVerb, addVerb, exitCodes } from '../../verb.ts'
import { isOutput, toFile, toOutput, writeAll, writeObject } from './files.ts'
import { getFolder } from './folders.ts'

interface GetFlags extends JobFlags {
  readonly wait?: number
  readonly consume?: boolean
  readonly recursive?: boolean
}

export const get: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'get', {
    summary: 'write the object under a key to a file, or to standard output',
    details:
      'A file is replaced once all bytes have arrived. With --recursive each object whose key begins with KEY/ is written below\nthe folder FILE.',
    examples: [
      'mayfly get wordcount greeting',
      'mayfly get wordcount result result.json --wait 5m --consume',
      'mayfly get wordcount out ./out --recursive',
    ],
  })
  bucketOption(
    jobArgument(verb, cli)
      .argument('<key>', 'the key; with --recursive its beginning')
      .argument('[file]', 'a file, or a folder with --recursive; - is standard output')
      .option(
        '--wait <time>',
        'wait for the key to be put, like 90 or 5m (default: not at all)',
        seconds(0, WAIT_SECONDS_MAX),
      )
      .option('--consume', 'remove the object in the same step: of several consumers one gets it')
      .option('-r, --recursive', 'write a folder'),
  )
  onJob<GetFlags>(verb, cli, async (use) => {
    const [key = '', file] = use.words
    const { flags, signal } = use
    if (flags.recursive === true) {
      if (isOutput(file)) return verb.error("error: missing required argument 'file': the folder to write to")
      if (flags.consume === true || flags.wait !== undefined)
        return verb.error('error: --recursive goes with neither --consume nor --wait')
      return await getFolder(use, {
        prefix: key,
        folder: file,
        options: { ...bucketOf(flags), signal },
        terminal: cli.terminal,
      })
    }
    const options = { ...bucketOf(flags), signal, waitSeconds: flags.wait }
    if (flags.consume === true) {
      const bytes = await use.job.get(key, { ...options, consume: true })
      await (isOutput(file) ? toOutput([bytes]) : toFile(file, (path) => writeAll(path, [bytes])))
      return exitCodes.done
    }
    const write = (path: string | null): Promise<void> =>
      stream(use, { key, options, path, terminal: cli.terminal })
    await (isOutput(file) ? write(null) : toFile(file, write))
    return exitCodes.done
  })
}

interface Streamed {
  readonly key: string
  readonly options: GetStreamOptions
  /** Null is standard output. */
  readonly path: string | null
  readonly terminal: Terminal
}

/** Writes an object of any size as it arrives. */
async function stream(
  { job, flags, signal }: Pick<Use<GetFlags>, 'job' | 'flags' | 'signal'>,
  { key, options, path, terminal }: Streamed,
): Promise<void> {
  // Standard output is for the object: only a file has a bar, and only a bar has to know the length.
  const redraw = path === null ? undefined : terminal.redraw
  const total =
    redraw === undefined ? null : ((await job.stat(key, { ...bucketOf(flags), signal }))?.bytes ?? null)
  const progress = new Progress({ redraw }, { what: printable(key), total })
  try {
    if (path === null) await toOutput(job.getStream(key, options))
    else await writeObject(path, { job, key, options, progress: (bytes) => progress.add(bytes) })
  } finally {
    progress.end()
  }
}
