import { dirOption } from '../api/credentials.ts'
import { bucketOf, withJob } from '../api/open-job.ts'
import { printable } from '../table.ts'
import type { Verb } from '../verb.ts'

export const rm: Verb = {
  usage: 'rm JOB KEY… [--bucket NAME] [--dir DIR]',
  summary: 'delete keys',
  shape: {
    options: { bucket: 'text', ...dirOption },
    required: ['JOB', 'KEY'],
    optional: [],
    repeats: true,
  },
  async run(input) {
    const missing: string[] = []
    await withJob(input, async (job) => {
      for (const key of input.args.words.slice(1)) {
        if (!(await job.delete(key, bucketOf(input)))) missing.push(key)
      }
    })
    for (const key of missing) process.stderr.write(`mayfly: there is no key ${printable(key)}\n`)
    return missing.length === 0 ? 0 : 1
  },
}
