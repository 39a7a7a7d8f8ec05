import { TICKET_SECONDS } from '../../protocol/limits.ts'
import { dirOption, findCredentials } from '../api/credentials.ts'
import { request } from '../api/http.ts'
import type { Verb } from '../verb.ts'

interface TicketReply {
  readonly ticket: string
  readonly expiresAt: string
}

export const ticket: Verb = {
  usage: 'ticket JOB [--read] [--write] [--prefix P] [--seconds N] [--dir DIR] [--json]',
  summary:
    'print a ticket of a job with fewer rights (both where none is named), for keys with a prefix, or for a shorter time',
  shape: {
    options: { read: 'flag', write: 'flag', prefix: 'text', seconds: 'text', json: 'flag', ...dirOption },
    required: ['JOB'],
    optional: [],
  },
  async run({ args, config, print }) {
    const [read, write] = [args.flag('read'), args.flag('write')]
    const prefix = args.text('prefix')
    const expiresInSeconds = args.number('seconds', { least: 1, most: TICKET_SECONDS })
    const body = {
      ...((read || write) && { read, write }),
      ...(prefix !== undefined && { prefix }),
      ...(expiresInSeconds !== undefined && { expiresInSeconds }),
    }
    const path = `/v1/jobs/${encodeURIComponent(args.word(0))}/tickets`
    const issued = await request<TicketReply>(findCredentials(args, config), { method: 'POST', path, body })
    print(args.flag('json') ? JSON.stringify(issued) : issued.ticket)
    return 0
  },
}
