import { TICKET_SECONDS } from '../../../protocol/limits.ts'
import { requestJob } from '../../api/http.ts'
import { type Asked, onReply } from '../../api/on-reply.ts'
import { seconds } from '../../values.ts'
import { type AddVerb, addVerb, jobText, notEmpty } from '../../verb.ts'

interface TicketReply {
  readonly ticket: string
  readonly expiresAt: string
}

interface Flags {
  readonly read?: boolean
  readonly write?: boolean
  readonly prefix?: string
  readonly seconds?: number
}

export const ticket: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'ticket', {
    summary: 'print a ticket of a job: a fresh one, or one with fewer rights',
    details: 'With neither --read nor --write it grants both. Tickets that were issued before stay valid.',
    examples: [
      'export MAYFLY_TICKET=$(mayfly ticket wordcount)',
      'mayfly ticket wordcount --read --prefix out/ --seconds 1h',
    ],
  })
    .argument('<job>', jobText)
    .option('--read', 'grant to read')
    .option('--write', 'grant to write')
    .option('--prefix <text>', 'only keys that begin so, in every bucket', notEmpty)
    .option(
      '--seconds <time>',
      'how long it is valid, like 600 or 2h (default: 1d)',
      seconds(1, TICKET_SECONDS),
    )
  onReply(verb, cli, {
    ask: ({ credentials, words: [job = ''], flags }: Asked<Flags>) => {
      const { read = false, write = false, prefix, seconds } = flags
      const body = {
        ...((read || write) && { read, write }),
        ...(prefix !== undefined && { prefix }),
        ...(seconds !== undefined && { expiresInSeconds: seconds }),
      }
      return requestJob<TicketReply>(credentials, job, { method: 'POST', below: '/tickets', body })
    },
    text: ({ ticket }) => ticket,
  })
}
