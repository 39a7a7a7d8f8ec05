import {
  JOB_LEASE_SECONDS_MAX,
  JOB_LEASE_SECONDS_MIN,
  REGISTRATION_WAIT_SECONDS_MAX,
} from '../../../protocol/limits.ts'
import { request } from '../../api/http.ts'
import { type Asked, onReply } from '../../api/on-reply.ts'
import type { JobReply } from '../../api/replies.ts'
import { seconds } from '../../values.ts'
import { type AddVerb, addVerb } from '../../verb.ts'
import { type HintFlags, hintOption, reserved } from './hints.ts'

interface Flags extends HintFlags {
  readonly leaseSeconds?: number
  readonly waitSeconds?: number
}

export const register: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'register', {
    summary: 'register a job and print the ticket for its functions',
    details: 'Returns once its capacity is reserved and its nodes run. Later verbs take the id or the name.',
    examples: [
      'mayfly register wordcount',
      'mayfly register video --hint capacityBytes=2GiB --hint maxFunctions=64',
      'export MAYFLY_TICKET=$(mayfly register batch --json | jq -r .ticket)',
    ],
  })
    .argument(
      '<name>',
      'what the job is called; the sizes of later runs of a name are learned from earlier ones',
    )
    .option(
      '--lease-seconds <time>',
      'the job ends after this time without use, like 600 or 2h (default: 10m)',
      seconds(JOB_LEASE_SECONDS_MIN, JOB_LEASE_SECONDS_MAX),
    )
    .option(
      '--wait-seconds <time>',
      'how long to wait in line where there is no room (default: not at all)',
      seconds(0, REGISTRATION_WAIT_SECONDS_MAX),
    )
  onReply(verb, cli, {
    ask: ({ credentials, words: [name], flags }: Asked<Flags>) => {
      const { hint = {}, leaseSeconds, waitSeconds } = flags
      const body = {
        name,
        hints: hint,
        ...(leaseSeconds !== undefined && { leaseSeconds }),
        ...(waitSeconds !== undefined && { waitSeconds }),
      }
      const waitMs = (waitSeconds ?? 0) * 1000
      return request<JobReply>(credentials, { method: 'POST', path: '/v1/jobs', body, waitMs })
    },
    text: describe,
  })
  hintOption(verb)
}

function describe({ id, ticket, leaseSeconds, reservation }: JobReply): string {
  return [
    `job       ${id}`,
    `reserved  ${reserved(reservation)}`,
    `lease     ${leaseSeconds} s without any use`,
    'For its functions:',
    `export MAYFLY_TICKET=${ticket}`,
  ].join('\n')
}
