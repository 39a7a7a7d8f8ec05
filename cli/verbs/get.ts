import { writeFile } from 'node:fs/promises'
import { dirOption } from '../api/credentials.ts'
import { bucketOf, withJob } from '../api/open-job.ts'
import type { Verb } from '../verb.ts'

export const get: Verb = {
  usage: 'get JOB KEY [FILE] [--bucket NAME] [--dir DIR]',
  summary: 'write the bytes of a key to a file, or to standard output',
  shape: { options: { bucket: 'text', ...dirOption }, required: ['JOB', 'KEY'], optional: ['FILE'] },
  async run(input) {
    const file = input.args.words[2]
    const bytes = await withJob(input, (job) => job.get(input.args.word(1), bucketOf(input)))
    if (file === undefined || file === '-') process.stdout.write(bytes)
    else await writeFile(file, bytes)
    return 0
  },
}
