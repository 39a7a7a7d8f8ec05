import { TICKET_SECONDS } from '../../../protocol/limits.ts'
import { requestJob } from '../../api/http.ts'
import { type Asked, onReply } from '../../api/on-reply.ts'
import { seconds } from '../../values.ts'
import { type AddVerb, addVerb, jobText, keyPrefix } from '../../verb.ts'
import { requestS3, type S3Reply, s3Exports, s3Option } from './s3-keys.ts'

interface TicketReply {
  readonly ticket: string
  readonly expiresAt: string
}

interface Flags {
  readonly read?: boolean
  readonly write?: boolean
  readonly prefix?: string
  readonly seconds?: number
  readonly s3?: boolean
}

export const ticket: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'ticket', {
    summary: 'print a ticket of a job: a fresh one, or one with fewer rights',
    details: 'With neither --read nor --write it grants both. Tickets that were issued before stay valid.',
    examples: [
      'export MAYFLY_TICKET=$(mayfly ticket wordcount)',
      'mayfly ticket wordcount --read --prefix out/ --seconds 1h',
      'eval "$(mayfly ticket wordcount --s3 --read)"',
    ],
  })
    .argument('<job>', jobText)
    .option('--read', 'grant to read')
    .option('--write', 'grant to write')
    .option('--prefix <text>', 'only keys that begin so, in every bucket', keyPrefix)
    .option(
      '--seconds <time>',
      'how long it is valid, like 600 or 2h (default: 1d)',
      seconds(1, TICKET_SECONDS),
    )
  s3Option(verb)
  onReply(verb, cli, {
    ask: ({ credentials, words: [job = ''], flags }: Asked<Flags>): Promise<TicketReply | S3Reply> => {
      const { read = false, write = false, prefix, seconds, s3 } = flags
      const rights = { ...((read || write) && { read, write }), ...(prefix !== undefined && { prefix }) }
      if (s3 === true && seconds !== undefined)
        throw new Error('a key for S3 ends with its job; leave out --seconds')
      if (s3 === true) return requestS3(credentials, job, rights)
      const body = { ...rights, ...(seconds !== undefined && { expiresInSeconds: seconds }) }
      return requestJob<TicketReply>(credentials, job, { method: 'POST', below: '/tickets', body })
    },
    text: (reply) => ('ticket' in reply ? reply.ticket : s3Exports(reply)),
  })
}
