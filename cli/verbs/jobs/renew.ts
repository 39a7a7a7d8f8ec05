import { findCredentials } from '../../api/credentials.ts'
import { requestJob } from '../../api/http.ts'
import type { JobReply } from '../../api/replies.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  type JsonFlag,
  jobText,
  jsonOption,
  onRun,
} from '../../verb.ts'

export const renew: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'renew', {
    summary: 'let the lease of a job count from now',
    details: 'A job ends when nobody used its data or renewed it for its lease. Use renews it too.',
    examples: ['mayfly renew wordcount', 'mayfly renew j-r6qmx7ktw2a5c --json'],
  }).argument('<job>', jobText)
  jsonOption(clusterOptions(verb))
  onRun<ClusterFlags & JsonFlag>(verb, cli, async ([job = ''], flags) => {
    const asked = { method: 'POST', below: '/renew' } as const
    const renewed = await requestJob<JobReply>(findCredentials(flags, cli.config), job, asked)
    const { id, leaseExpiresAt } = renewed
    cli.terminal.print(flags.json === true ? JSON.stringify(renewed) : `${id} lives until ${leaseExpiresAt}`)
  })
}
