import { requestJob } from '../../api/http.ts'
import { onReply } from '../../api/on-reply.ts'
import type { JobReply } from '../../api/replies.ts'
import { type AddVerb, addVerb, jobText } from '../../verb.ts'

export const renew: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'renew', {
    summary: 'let the lease of a job count from now',
    details: 'A job ends when nobody used its data or renewed it for its lease. Use renews it too.',
    examples: ['mayfly renew wordcount', 'mayfly renew j-r6qmx7ktw2a5c --json'],
  }).argument('<job>', jobText)
  onReply(verb, cli, {
    ask: ({ credentials, words: [job = ''] }) =>
      requestJob<JobReply>(credentials, job, { method: 'POST', below: '/renew' }),
    text: ({ id, leaseExpiresAt }) => `${id} lives until ${leaseExpiresAt}`,
  })
}
