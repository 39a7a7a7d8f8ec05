import { bucketOf, bucketOption, type JobFlags, jobArgument, onJob } from '../../api/open-job.ts'
import { formatBytes, printable } from '../../terminal/table.ts'
import { type AddVerb, addVerb, type JsonFlag, jsonOption } from '../../verb.ts'

/** `1023.9 KiB` is the widest size. Rows are printed as they arrive, so column widths are fixed. */
const SIZE_WIDTH = 10

export const ls: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'ls', {
    summary: 'list the keys of a job, in order, with their sizes',
    examples: ['mayfly ls wordcount', 'mayfly ls wordcount map/3/ --json | jq length'],
  })
  jsonOption(bucketOption(jobArgument(verb, cli).argument('[prefix]', 'only keys that begin so')))
  onJob<JobFlags & JsonFlag>(verb, cli, async ({ job, words: [prefix = ''], flags, signal }) => {
    const { print } = cli.terminal
    const entries: { key: string; bytes: number }[] = []
    for await (const { key, bytes } of job.list({ prefix, signal, ...bucketOf(flags) })) {
      if (flags.json === true) entries.push({ key, bytes })
      else print(`${formatBytes(bytes).padStart(SIZE_WIDTH)}  ${printable(key)}`)
    }
    if (flags.json === true) print(JSON.stringify(entries))
  })
}
