import { type JobFlags, jobArgument, onJob } from '../../api/open-job.ts'
import { printable } from '../../terminal/table.ts'
import { type AddVerb, addVerb, type JsonFlag, jsonOption } from '../../verb.ts'

export const bucket: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'bucket', {
    summary: 'list, create and delete the buckets of a job',
    details: 'Keys of different buckets are independent. Every job has the bucket "default".',
    examples: ['mayfly bucket create wordcount scratch', 'mayfly put wordcount a README.md --bucket scratch'],
  })
  const listing = addVerb(verb, 'list', {
    summary: 'list the buckets, in order of creation',
    examples: ['mayfly bucket list wordcount', 'mayfly bucket list wordcount --json'],
  })
  const nameText = '1 to 63 letters, digits, ., _ or -'
  const creating = addVerb(verb, 'create', {
    summary: 'create a bucket',
    examples: ['mayfly bucket create wordcount scratch', 'mayfly bucket create j-r6qmx7ktw2a5c stage-2'],
  })
  const deleting = addVerb(verb, 'delete', {
    summary: 'delete a bucket with all of its objects',
    examples: ['mayfly bucket delete wordcount scratch', 'mayfly bucket delete j-r6qmx7ktw2a5c stage-2'],
  })
  const { print } = cli.terminal
  jsonOption(jobArgument(listing, cli))
  onJob<JobFlags & JsonFlag>(listing, cli, async ({ job, flags, signal }) => {
    const names = await job.buckets({ signal })
    print(flags.json === true ? JSON.stringify(names) : names.map(printable).join('\n'))
  })
  jobArgument(creating, cli).argument('<name>', nameText)
  onJob<JobFlags>(creating, cli, async ({ job, words: [name = ''], signal }) => {
    await job.createBucket(name, { signal })
    print(`bucket ${name} is there`)
  })
  jobArgument(deleting, cli).argument('<name>', 'name of a bucket')
  onJob<JobFlags>(deleting, cli, async ({ job, words: [name = ''], signal }) => {
    await job.deleteBucket(name, { signal })
    print(`bucket ${name} is deleted`)
  })
}
