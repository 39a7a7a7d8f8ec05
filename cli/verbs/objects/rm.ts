import { bucketOf, bucketOption, type JobFlags, jobArgument, onJob } from '../../api/open-job.ts'
import { printable } from '../../terminal/table.ts'
import { type AddVerb, addVerb, exitCodes } from '../../verb.ts'

export const rm: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'rm', {
    summary: 'delete keys',
    examples: ['mayfly rm wordcount greeting', 'mayfly rm wordcount map/1 map/2 --bucket scratch'],
  })
  bucketOption(jobArgument(verb, cli).argument('<keys...>', 'the keys'))
  onJob<JobFlags>(verb, cli, async ({ job, words, flags, signal }) => {
    let missing = 0
    for (const key of words) {
      if (await job.delete(key, { ...bucketOf(flags), signal })) continue
      missing++
      cli.terminal.printError(`mayfly: there is no key ${printable(key)}`)
    }
    return missing === 0 ? exitCodes.done : exitCodes.missing
  })
}
