import { TICKET_SECONDS } from '../../../protocol/limits.ts'
import { findCredentials } from '../../api/credentials.ts'
import { requestJob } from '../../api/http.ts'
import { seconds } from '../../values.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  type JsonFlag,
  jobText,
  jsonOption,
  notEmpty,
  onRun,
} from '../../verb.ts'

interface TicketReply {
  readonly ticket: string
  readonly expiresAt: string
}

interface Flags extends ClusterFlags, JsonFlag {
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
  jsonOption(clusterOptions(verb))
  onRun<Flags>(verb, cli, async ([job = ''], { read, write, prefix, seconds, ...flags }) => {
    const body = {
      ...((read === true || write === true) && { read: read === true, write: write === true }),
      ...(prefix !== undefined && { prefix }),
      ...(seconds !== undefined && { expiresInSeconds: seconds }),
    }
    const asked = { method: 'POST', below: '/tickets', body } as const
    const issued = await requestJob<TicketReply>(findCredentials(flags, cli.config), job, asked)
    cli.terminal.print(flags.json === true ? JSON.stringify(issued) : issued.ticket)
  })
}
