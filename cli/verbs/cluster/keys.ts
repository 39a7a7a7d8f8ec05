import { Option } from 'commander'
import { type Role, roles } from '../../../controller/records/roles.ts'
import { KEY_GRACE_SECONDS_MAX } from '../../../protocol/limits.ts'
import { findCredentials } from '../../api/credentials.ts'
import { request } from '../../api/http.ts'
import { type Column, formatTable } from '../../terminal/table.ts'
import { painter } from '../../terminal/terminal.ts'
import { seconds } from '../../values.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  type JsonFlag,
  jsonOption,
  onRun,
} from '../../verb.ts'

interface KeyReply {
  readonly name: string
  readonly role: Role
  readonly source: 'config' | 'api'
  readonly createdAt?: string
  readonly rotatedAt?: string
  readonly key?: string
}

const columns: readonly Column[] = [
  { heading: 'NAME', align: 'left' },
  { heading: 'ROLE', align: 'left' },
  { heading: 'SOURCE', align: 'left' },
  { heading: 'CREATED', align: 'left' },
  { heading: 'ROTATED', align: 'left' },
]

type Flags = ClusterFlags & JsonFlag

const nameText = 'name of an API key (mayfly keys list)'

export const keys: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'keys', {
    summary: 'list, make, rotate and revoke API keys',
    examples: ['mayfly keys', 'mayfly keys make ci --role driver'],
  })
  const listing = addVerb(verb, 'list', {
    summary: 'list the API keys (the default)',
    isDefault: true,
    examples: ['mayfly keys', 'mayfly keys list --json'],
  })
  const making = addVerb(verb, 'make', {
    summary: 'make an API key, and print it this once',
    examples: ['mayfly keys make ci', 'mayfly keys make dashboard --role viewer > viewer.key'],
  })
    .argument('<name>', 'name of the new key: a-z, 0-9 and -, up to 63')
    .addOption(
      new Option('--role <role>', 'admin: everything; driver: its own jobs; viewer: sees only')
        .choices(roles)
        .default('driver'),
    )
  const rotating = addVerb(verb, 'rotate', {
    summary: 'put another key in the place of one, and print it this once',
    examples: ['mayfly keys rotate ci', 'mayfly keys rotate ci --grace 10m'],
  })
    .argument('<name>', nameText)
    .option(
      '--grace <time>',
      'how long the earlier key is still accepted',
      seconds(0, KEY_GRACE_SECONDS_MAX),
      0,
    )
  const revoking = addVerb(verb, 'revoke', {
    summary: 'revoke an API key',
    examples: ['mayfly keys revoke ci', 'mayfly keys revoke ci --json'],
  }).argument('<name>', nameText)
  for (const each of [listing, making, rotating, revoking]) jsonOption(clusterOptions(each))

  const ask = (flags: Flags, method: 'POST' | 'DELETE', path: string, body?: unknown) =>
    request<KeyReply>(findCredentials(flags, cli.config), { method, path: `/v1/keys${path}`, body })
  const pathOf = (name = ''): string => `/${encodeURIComponent(name)}`
  const { terminal } = cli
  onRun<Flags>(listing, cli, async (_, flags) => {
    const credentials = findCredentials(flags, cli.config)
    const { keys } = await request<{ keys: KeyReply[] }>(credentials, { path: '/v1/keys' })
    terminal.print(
      flags.json === true ? JSON.stringify(keys) : formatTable(columns, keys.map(rowOf), painter(terminal)),
    )
  })
  onRun<Flags & { role: Role }>(making, cli, async ([name], { role, ...flags }) =>
    terminal.print(shown(flags, await ask(flags, 'POST', '', { name, role }))),
  )
  onRun<Flags & { grace: number }>(rotating, cli, async ([name], { grace, ...flags }) =>
    terminal.print(shown(flags, await ask(flags, 'POST', `${pathOf(name)}/rotate`, { graceSeconds: grace }))),
  )
  onRun<Flags>(revoking, cli, async ([name], flags) => {
    const revoked = await ask(flags, 'DELETE', pathOf(name))
    terminal.print(flags.json === true ? JSON.stringify(revoked) : `${name} is revoked`)
  })
}

/** Prints only the key, for redirection; it is shown once. */
function shown({ json }: JsonFlag, reply: KeyReply): string {
  return json === true ? JSON.stringify(reply) : `${reply.key}`
}

function rowOf({ name, role, source, createdAt = '', rotatedAt = '' }: KeyReply): string[] {
  return [name, role, source, createdAt, rotatedAt]
}
