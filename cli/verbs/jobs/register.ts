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
import { requestS3, type S3Reply, s3Exports, s3Option } from './s3-keys.ts'

interface Flags extends HintFlags {
  readonly leaseSeconds?: number
  readonly waitSeconds?: number
  readonly s3?: boolean
}

export const register: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'register', {
    summary: 'register a job and print the ticket for its functions',
    details: 'Returns once its capacity is reserved and its nodes run. Later verbs take the id or the name.',
    examples: [
      'mayfly register wordcount',
      'mayfly register video --hint capacityBytes=2GiB --hint maxFunctions=64',
      'mayfly register batch --s3   # and for S3 clients: endpoint, access key, secret',
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
  s3Option(verb)
  onReply(verb, cli, {
    ask: async ({
      credentials,
      words: [name],
      flags,
    }: Asked<Flags>): Promise<JobReply & { s3?: S3Reply }> => {
      const { hint = {}, leaseSeconds, waitSeconds, s3 } = flags
      const body = {
        name,
        hints: hint,
        ...(leaseSeconds !== undefined && { leaseSeconds }),
        ...(waitSeconds !== undefined && { waitSeconds }),
      }
      const waitMs = (waitSeconds ?? 0) * 1000
      const job = await request<JobReply>(credentials, { method: 'POST', path: '/v1/jobs', body, waitMs })
      return s3 === true ? { ...job, s3: await requestS3(credentials, job.id, {}) } : job
    },
    text: describe,
  })
  hintOption(verb)
}

function describe({ id, ticket, leaseSeconds, reservation, s3 }: JobReply & { s3?: S3Reply }): string {
  return [
    `job       ${id}`,
    `reserved  ${reserved(reservation)}`,
    `lease     ${leaseSeconds} s without any use`,
    'For its functions:',
    `export MAYFLY_TICKET=${ticket}`,
    ...(s3 === undefined ? [] : ['For its S3 clients:', s3Exports(s3)]),
  ].join('\n')
}
