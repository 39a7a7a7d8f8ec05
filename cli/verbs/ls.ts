import { dirOption } from '../api/credentials.ts'
import { bucketOf, withJob } from '../api/open-job.ts'
import { formatBytes, printable } from '../table.ts'
import type { Verb } from '../verb.ts'

/** `1023.9 KiB` is the widest size. Rows are printed as they arrive, so column widths are fixed. */
const SIZE_WIDTH = 10

export const ls: Verb = {
  usage: 'ls JOB [PREFIX] [--bucket NAME] [--dir DIR] [--json]',
  summary: 'list the keys of a job, in order',
  shape: {
    options: { bucket: 'text', json: 'flag', ...dirOption },
    required: ['JOB'],
    optional: ['PREFIX'],
  },
  async run(input) {
    const prefix = input.args.words[1] ?? ''
    const json = input.args.flag('json')
    const entries: { key: string; bytes: number }[] = []
    await withJob(input, async (job) => {
      for await (const { key, bytes } of job.list({ prefix, ...bucketOf(input) })) {
        if (json) entries.push({ key, bytes })
        else input.print(`${formatBytes(bytes).padStart(SIZE_WIDTH)}  ${printable(key)}`)
      }
    })
    if (json) input.print(JSON.stringify(entries))
    return 0
  },
}
