import { open } from 'node:fs/promises'
import type { PutOptions } from '../../../client/index.ts'
import { CHUNK_BYTES, TTL_SECONDS_MAX } from '../../../protocol/limits.ts'
import { bucketOf, bucketOption, type JobFlags, jobArgument, onJob, type Use } from '../../api/open-job.ts'
import { Progress } from '../../terminal/progress.ts'
import { formatBytes, printable } from '../../terminal/table.ts'
import type { Terminal } from '../../terminal/terminal.ts'
import { seconds } from '../../values.ts'
import { type AddVerb, addVerb, exitCodes } from '../../verb.ts'
import { isOutput, readChunks } from './files.ts'
import { putFolder } from './folders.ts'

interface PutFlags extends JobFlags {
  readonly ttl?: number
  readonly persist?: boolean
  readonly ifAbsent?: boolean
  readonly recursive?: boolean
}

export const put: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'put', {
    summary: 'store a file, a folder or standard input under a key',
    details:
      'Without FILE, or with -, it stores standard input. An object that is there is replaced.\nWith --recursive each file below the folder FILE is stored under KEY/its path.',
    examples: [
      'mayfly put wordcount greeting README.md',
      'echo hello | mayfly put wordcount greeting --ttl 10m --if-absent',
      'mayfly put wordcount input ./folder --recursive',
    ],
  })
  bucketOption(
    jobArgument(verb, cli)
      .argument('<key>', 'up to 1,024 bytes of text, like map/3/part/7')
      .argument('[file]', 'a file, or a folder with --recursive')
      .option(
        '--ttl <time>',
        'expire after this time, like 90, 10m or 2h (default: with its job)',
        seconds(1, TTL_SECONDS_MAX),
      )
      .option('--if-absent', 'fail if the key exists')
      .option('--persist', 'outlive the job (read with `mayfly kept`)')
      .option('-r, --recursive', 'store a folder'),
  )
  onJob<PutFlags>(verb, cli, async (use) => {
    const [key = '', file] = use.words
    const options = optionsOf(use)
    if (use.flags.recursive === true) {
      if (isOutput(file)) return verb.error("error: missing required argument 'file': the folder to store")
      return await putFolder(use, { prefix: key, folder: file, options, terminal: cli.terminal })
    }
    // A terminal is only read if it was named explicitly.
    if (file === undefined && process.stdin.isTTY)
      return verb.error("error: missing required argument 'file': standard input is a terminal")
    const bytes =
      file === undefined || file === '-'
        ? await putInput(use, key, options)
        : await putFile(use, { key, file, options, terminal: cli.terminal })
    cli.terminal.print(`${printable(key)}: ${formatBytes(bytes)}`)
    return exitCodes.done
  })
}

function optionsOf({ flags, signal }: Pick<Use<PutFlags>, 'flags' | 'signal'>): PutOptions {
  return {
    ...bucketOf(flags),
    signal,
    ttlSeconds: flags.ttl,
    ifAbsent: flags.ifAbsent,
    persist: flags.persist,
  }
}

interface FilePut {
  readonly key: string
  readonly file: string
  readonly options: PutOptions
  readonly terminal: Terminal
}

/** Stores a file; resolves with its length. Reading it in chunks bounds the memory. */
async function putFile(
  { job }: Pick<Use<PutFlags>, 'job'>,
  { key, file, options, terminal }: FilePut,
): Promise<number> {
  const handle = await open(file)
  try {
    const stat = await handle.stat()
    if (stat.isDirectory()) throw new Error(`${printable(file)} is a folder; store it with --recursive`)
    const { size } = stat
    if (size <= CHUNK_BYTES) {
      const bytes = await handle.readFile()
      await job.put(key, bytes, options)
      return bytes.length
    }
    const progress = new Progress(terminal, { what: printable(key), total: size })
    let bytes = 0
    async function* counted() {
      for await (const chunk of readChunks(handle)) {
        yield chunk
        bytes += chunk.length
        progress.add(chunk.length)
      }
    }
    try {
      await job.putStream(key, counted(), options)
    } finally {
      progress.end()
    }
    return bytes
  } finally {
    await handle.close()
  }
}

async function putInput(
  { job }: Pick<Use<PutFlags>, 'job'>,
  key: string,
  options: PutOptions,
): Promise<number> {
  let bytes = 0
  async function* counted() {
    for await (const chunk of process.stdin) {
      bytes += (chunk as Buffer).length
      yield chunk as Buffer
    }
  }
  await job.putStream(key, counted(), options)
  return bytes
}
