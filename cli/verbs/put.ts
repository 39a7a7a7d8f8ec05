import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { dirOption } from '../api/credentials.ts'
import { bucketOf, withJob } from '../api/open-job.ts'
import { UsageError } from '../arguments.ts'
import { formatBytes, printable } from '../table.ts'
import type { Verb } from '../verb.ts'

export const put: Verb = {
  usage: 'put JOB KEY [FILE|-] [--bucket NAME] [--dir DIR]',
  summary: 'store a file, or standard input, under a key',
  shape: { options: { bucket: 'text', ...dirOption }, required: ['JOB', 'KEY'], optional: ['FILE'] },
  async run(input) {
    const bytes = await readInput(input.args.words[2])
    const key = input.args.word(1)
    await withJob(input, (job) => job.put(key, bytes, bucketOf(input)))
    input.print(`${printable(key)}: ${formatBytes(bytes.length)}`)
    return 0
  },
}

/** A terminal is only read if it was named explicitly. */
function readInput(file: string | undefined): Promise<Buffer> {
  if (file !== undefined && file !== '-') return readFile(file)
  if (file === undefined && process.stdin.isTTY) throw new UsageError('FILE is missing')
  return buffer(process.stdin)
}
