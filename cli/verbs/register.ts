import {
  JOB_LEASE_SECONDS_MAX,
  JOB_LEASE_SECONDS_MIN,
  REGISTRATION_WAIT_SECONDS_MAX,
} from '../../protocol/limits.ts'
import { dirOption, findCredentials } from '../api/credentials.ts'
import { request } from '../api/http.ts'
import type { JobReply } from '../api/replies.ts'
import { UsageError } from '../arguments.ts'
import { formatBytes } from '../table.ts'
import type { Verb } from '../verb.ts'

const wait = { least: 0, most: REGISTRATION_WAIT_SECONDS_MAX }
const lease = { least: JOB_LEASE_SECONDS_MIN, most: JOB_LEASE_SECONDS_MAX }

export const register: Verb = {
  usage: 'register NAME [--hint k=v …] [--lease-seconds N] [--wait-seconds N] [--dir DIR] [--json]',
  summary: 'register a job and print the ticket for its functions',
  shape: {
    options: { hint: 'list', 'lease-seconds': 'text', 'wait-seconds': 'text', json: 'flag', ...dirOption },
    required: ['NAME'],
    optional: [],
  },
  async run({ args, config, print }) {
    const leaseSeconds = args.number('lease-seconds', lease)
    const waitSeconds = args.number('wait-seconds', wait)
    const body = {
      name: args.word(0),
      hints: parseHints(args.list('hint')),
      ...(leaseSeconds !== undefined && { leaseSeconds }),
      ...(waitSeconds !== undefined && { waitSeconds }),
    }
    const credentials = findCredentials(args, config)
    const job = await request<JobReply>(credentials, {
      method: 'POST',
      path: '/v1/jobs',
      body,
      waitMs: (waitSeconds ?? 0) * 1000,
    })
    print(args.flag('json') ? JSON.stringify(job) : describe(job))
    return 0
  },
}

/** `k=v` in JSON types: true, false and numbers, else text. The controller validates the hints. */
export function parseHints(hints: readonly string[]): Record<string, boolean | number | string> {
  return Object.fromEntries(
    hints.map((hint) => {
      const [, name, value] = /^([^=]+)=(.+)$/s.exec(hint) ?? []
      if (name === undefined || value === undefined) {
        throw new UsageError(`--hint is '${hint}', not of the form name=value`)
      }
      return [name, parseValue(value)]
    }),
  )
}

function parseValue(text: string): boolean | number | string {
  if (text === 'true' || text === 'false') return text === 'true'
  const number = Number(text)
  return Number.isFinite(number) && text.trim() !== '' ? number : text
}

function describe({ id, ticket, leaseSeconds, reservation }: JobReply): string {
  const { nodes, bytes, bytesPerSecond } = reservation
  const where = `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`
  const held = Object.entries(bytes)
    .filter(([, count]) => count > 0)
    .map(([tier, count]) => `${formatBytes(count)} of ${tier}`)
  return [
    `job       ${id}`,
    `reserved  ${[...held, `${formatBytes(bytesPerSecond)}/s`].join(', ')} on ${where}`,
    `lease     ${leaseSeconds} s without any use`,
    'For its functions:',
    `export MAYFLY_TICKET=${ticket}`,
  ].join('\n')
}
