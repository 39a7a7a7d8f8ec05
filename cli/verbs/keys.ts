import { type Role, roles } from '../../controller/records/roles.ts'
import { KEY_GRACE_SECONDS_MAX } from '../../protocol/limits.ts'
import { dirOption, findCredentials } from '../api/credentials.ts'
import { request } from '../api/http.ts'
import { UsageError } from '../arguments.ts'
import { type Column, formatTable } from '../table.ts'
import type { Verb, VerbInput } from '../verb.ts'

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

type Action = (input: VerbInput, name: string) => Promise<string>

const actions: Readonly<Record<string, Action>> = {
  async make({ args, config }, name) {
    const role = args.text('role') ?? 'driver'
    if (!roles.some((known) => known === role))
      throw new UsageError(`--role is '${role}', not one of ${roles.join(', ')}`)
    const body = { name, role }
    const made = await request<KeyReply>(findCredentials(args, config), {
      method: 'POST',
      path: '/v1/keys',
      body,
    })
    return shown(args, made)
  },
  async rotate({ args, config }, name) {
    const graceSeconds = args.number('grace', { least: 0, most: KEY_GRACE_SECONDS_MAX }) ?? 0
    const path = `/v1/keys/${encodeURIComponent(name)}/rotate`
    const body = { graceSeconds }
    return shown(args, await request<KeyReply>(findCredentials(args, config), { method: 'POST', path, body }))
  },
  async revoke({ args, config }, name) {
    const path = `/v1/keys/${encodeURIComponent(name)}`
    const revoked = await request<KeyReply>(findCredentials(args, config), { method: 'DELETE', path })
    return args.flag('json') ? JSON.stringify(revoked) : `${name} is revoked`
  },
}

export const keys: Verb = {
  usage: 'keys [make|rotate|revoke NAME] [--role ROLE] [--grace SECONDS] [--dir DIR] [--json]',
  summary: `list API keys, make one (${roles.join(', ')}), put another in its place, or revoke it`,
  shape: {
    options: { role: 'text', grace: 'text', json: 'flag', ...dirOption },
    required: [],
    optional: ['ACTION', 'NAME'],
  },
  async run(input) {
    const { args, config, print } = input
    const [action, name] = args.words
    if (action === undefined) {
      const { keys: all } = await request<{ keys: KeyReply[] }>(findCredentials(args, config), {
        path: '/v1/keys',
      })
      print(args.flag('json') ? JSON.stringify(all) : formatTable(columns, all.map(rowOf)))
      return 0
    }
    const act = Object.hasOwn(actions, action) ? actions[action] : undefined
    if (act === undefined)
      throw new UsageError(`'${action}' is not one of ${Object.keys(actions).join(', ')}`)
    if (name === undefined) throw new UsageError('NAME is missing')
    print(await act(input, name))
    return 0
  },
}

/** Prints only the key, for redirection; it is shown once. */
function shown(args: VerbInput['args'], reply: KeyReply): string {
  return args.flag('json') ? JSON.stringify(reply) : `${reply.key}`
}

function rowOf({ name, role, source, createdAt = '', rotatedAt = '' }: KeyReply): string[] {
  return [name, role, source, createdAt, rotatedAt]
}
