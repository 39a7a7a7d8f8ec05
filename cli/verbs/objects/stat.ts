import { bucketOf, bucketOption, type JobFlags, jobArgument, onJob } from '../../api/open-job.ts'
import { formatBytes, printable } from '../../terminal/table.ts'
import { type AddVerb, addVerb, exitCodes, type JsonFlag, jsonOption } from '../../verb.ts'

export const stat: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'stat', {
    summary: 'show size, version, tier, expiry and metadata of an object',
    examples: ['mayfly stat wordcount greeting', 'mayfly stat wordcount greeting --json | jq .version'],
  })
  jsonOption(bucketOption(jobArgument(verb, cli).argument('<key>', 'the key')))
  onJob<JobFlags & JsonFlag>(verb, cli, async ({ job, words: [key = ''], flags, signal }) => {
    const { print, printError } = cli.terminal
    const object = await job.stat(key, { ...bucketOf(flags), signal })
    if (object === null) {
      printError(`mayfly: there is no key ${printable(key)}`)
      return exitCodes.missing
    }
    if (flags.json === true) {
      print(JSON.stringify(object))
      return exitCodes.done
    }
    const { bytes, version, tier, persist, expiresAt, metadata } = object
    const rows: (readonly [string, string])[] = [
      ['key', key],
      ['size', `${formatBytes(bytes)} (${bytes} bytes)`],
      ['version', String(version)],
      ['tier', tier],
      ['persist', persist ? 'yes: it outlives its job' : 'no'],
      ['expires', expiresAt === null ? 'with its job' : expiresAt.toISOString()],
      ...Object.entries(metadata).map(([name, value]) => ['metadata', `${name}=${value}`] as const),
    ]
    print(rows.map(([name, value]) => `${name.padEnd(9)} ${printable(value)}`).join('\n'))
    return exitCodes.done
  })
}
