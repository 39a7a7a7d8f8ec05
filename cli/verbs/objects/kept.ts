import { InvalidArgumentError } from 'commander'
import { connect, type Kept, type KeptName } from '../../../client/index.ts'
import { parseName } from '../../../service/persisted/persisted-store.ts'
import { findCredentials } from '../../api/credentials.ts'
import { formatBytes, printable } from '../../terminal/table.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  exitCodes,
  type JsonFlag,
  jsonOption,
  onRun,
} from '../../verb.ts'
import { isOutput, toFile, toOutput, writeAll } from './files.ts'

/** As in `ls`. */
const SIZE_WIDTH = 10

export const kept: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'kept', {
    summary: 'list, read and remove objects that were put to outlive their job',
    examples: ['mayfly kept ls', 'mayfly kept get j-r6qmx7ktw2a5c/default/result result.json'],
  })
  const listing = addVerb(verb, 'ls', {
    summary: 'list them, with their sizes',
    examples: ['mayfly kept ls', 'mayfly kept ls j-r6qmx7ktw2a5c/ --json'],
  }).argument('[prefix]', 'only names that begin so; JOB/ selects one job')
  const getting = addVerb(verb, 'get', {
    summary: 'write one to a file, or to standard output',
    examples: [
      'mayfly kept get j-r6qmx7ktw2a5c/default/result',
      'mayfly kept get j-r6qmx7ktw2a5c/default/result out.json',
    ],
  })
    .argument('<name>', 'JOB/BUCKET/KEY', checkName)
    .argument('[file]', 'a file; - is standard output')
  const removing = addVerb(verb, 'rm', {
    summary: 'remove them',
    examples: ['mayfly kept rm j-r6qmx7ktw2a5c/default/result', 'mayfly kept rm j-1/default/a j-1/default/b'],
  }).argument('<names...>', 'JOB/BUCKET/KEY', (text: string, earlier: string[] = []) => [
    ...earlier,
    checkName(text),
  ])
  for (const each of [jsonOption(listing), getting, removing]) clusterOptions(each)

  const open = async (flags: ClusterFlags): Promise<Kept> => {
    const { url, apiKey } = findCredentials(flags, cli.config)
    return (await connect(url, { apiKey })).kept
  }
  const { print } = cli.terminal
  onRun<ClusterFlags & JsonFlag>(listing, cli, async ([prefix = ''], flags) => {
    const objects = []
    for await (const object of (await open(flags)).list({ prefix })) {
      const { job, bucket, key, bytes, expiresAt } = object
      const until = expiresAt === null ? '' : `  until ${expiresAt.toISOString()}`
      const name = printable(`${job}/${bucket}/${key}`)
      if (flags.json === true) objects.push(object)
      else print(`${formatBytes(bytes).padStart(SIZE_WIDTH)}  ${name}${until}`)
    }
    if (flags.json === true) print(JSON.stringify(objects))
  })
  onRun<ClusterFlags>(getting, cli, async ([name = '', file], flags) => {
    const bytes = await (await open(flags)).get(nameOf(name))
    await (isOutput(file) ? toOutput([bytes]) : toFile(file, (path) => writeAll(path, [bytes])))
  })
  onRun<ClusterFlags>(removing, cli, async (names, flags) => {
    const store = await open(flags)
    let missing = 0
    for (const name of names) if (!(await store.delete(nameOf(name)))) missing++
    print(`removed ${names.length - missing} of ${names.length}`)
    return missing === 0 ? exitCodes.done : exitCodes.missing
  })
}

function checkName(text: string): string {
  nameOf(text)
  return text
}

function nameOf(text: string): KeptName {
  const name = parseName(text)
  if (name === null) throw new InvalidArgumentError('It is not of the form JOB/BUCKET/KEY.')
  return name
}
