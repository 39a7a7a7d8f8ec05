import { Option } from 'commander'
import { type Role, roles } from '../../../controller/records/roles.ts'
import { KEY_GRACE_SECONDS_MAX } from '../../../protocol/limits.ts'
import { request } from '../../api/http.ts'
import { type Asked, onReply } from '../../api/on-reply.ts'
import { type Column, formatTable } from '../../terminal/table.ts'
import { painter } from '../../terminal/terminal.ts'
import { seconds } from '../../values.ts'
import { type AddVerb, addVerb } from '../../verb.ts'

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
  onReply(listing, cli, {
    ask: async ({ credentials }) => {
      const { keys } = await request<{ keys: KeyReply[] }>(credentials, { path: '/v1/keys' })
      return keys
    },
    text: (keys) => formatTable(columns, keys.map(rowOf), painter(cli.terminal)),
  })
  onReply(making, cli, {
    ask: ({ credentials, words: [name], flags: { role } }: Asked<{ role: Role }>) =>
      request<KeyReply>(credentials, { method: 'POST', path: '/v1/keys', body: { name, role } }),
    text: keyAlone,
  })
  onReply(rotating, cli, {
    ask: ({ credentials, words: [name], flags: { grace } }: Asked<{ grace: number }>) =>
      request<KeyReply>(credentials, {
        method: 'POST',
        path: `${pathOf(name)}/rotate`,
        body: { graceSeconds: grace },
      }),
    text: keyAlone,
  })
  onReply(revoking, cli, {
    ask: ({ credentials, words: [name] }) =>
      request<KeyReply>(credentials, { method: 'DELETE', path: pathOf(name) }),
    text: ({ name }) => `${name} is revoked`,
  })
}

function pathOf(name = ''): string {
  return `/v1/keys/${encodeURIComponent(name)}`
}

/** Only the key, for redirection; it is shown once. */
function keyAlone({ key }: KeyReply): string {
  return `${key}`
}

function rowOf({ name, role, source, createdAt = '', rotatedAt = '' }: KeyReply): string[] {
  return [name, role, source, createdAt, rotatedAt]
}
