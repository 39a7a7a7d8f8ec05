import { writeFile } from 'node:fs/promises'
import { connect, type KeptName } from '../../client/index.ts'
import { parseName } from '../../service/persisted/persisted-store.ts'
import { dirOption, findCredentials } from '../api/credentials.ts'
import { UsageError } from '../arguments.ts'
import { formatBytes, printable } from '../table.ts'
import type { Verb, VerbInput } from '../verb.ts'

/** As in `ls`. */
const SIZE_WIDTH = 10

const actions = new Map([
  ['ls', list],
  ['get', get],
  ['rm', remove],
])

export const kept: Verb = {
  usage: 'kept ls [PREFIX] | get JOB/BUCKET/KEY [FILE] | rm JOB/BUCKET/KEY… [--dir DIR] [--json]',
  summary: 'list, read or remove objects that were put to outlive their job',
  shape: {
    options: { json: 'flag', ...dirOption },
    required: ['ACTION'],
    optional: ['NAME', 'FILE'],
    repeats: true,
  },
  async run(input) {
    const action = actions.get(input.args.word(0))
    if (action === undefined) throw new UsageError(`'${input.args.word(0)}' is not one of ls, get and rm`)
    return await action(input)
  },
}

async function list(input: VerbInput): Promise<number> {
  const json = input.args.flag('json')
  const objects = []
  for await (const object of (await open(input)).list({ prefix: input.args.words[1] ?? '' })) {
    const { job, bucket, key, bytes, expiresAt } = object
    const until = expiresAt === null ? '' : `  until ${expiresAt.toISOString()}`
    if (json) objects.push(object)
    else
      input.print(
        `${formatBytes(bytes).padStart(SIZE_WIDTH)}  ${printable(`${job}/${bucket}/${key}`)}${until}`,
      )
  }
  if (json) input.print(JSON.stringify(objects))
  return 0
}

async function get(input: VerbInput): Promise<number> {
  const [, text = '', file, extra] = input.args.words
  if (extra !== undefined) throw new UsageError(`'${extra}' is one word too many`)
  const bytes = await (await open(input)).get(nameOf(text))
  if (file === undefined || file === '-') process.stdout.write(bytes)
  else await writeFile(file, bytes)
  return 0
}

/** Exit code 1 if one of them did not exist. */
async function remove(input: VerbInput): Promise<number> {
  const store = await open(input)
  const names = input.args.words.slice(1).map(nameOf)
  if (names.length === 0) throw new UsageError('JOB/BUCKET/KEY is missing')
  let missing = 0
  for (const name of names) if (!(await store.delete(name))) missing++
  input.print(`removed ${names.length - missing} of ${names.length}`)
  return missing === 0 ? 0 : 1
}

async function open({ args, config }: VerbInput) {
  const { url, apiKey } = findCredentials(args, config)
  return (await connect(url, { apiKey })).kept
}

function nameOf(text: string): KeptName {
  const name = parseName(text)
  if (name === null) throw new UsageError(`'${text}' is not of the form JOB/BUCKET/KEY`)
  return name
}
