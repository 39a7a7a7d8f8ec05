import { requestJob } from '../../api/http.ts'
import { onReply } from '../../api/on-reply.ts'
import type { JobReply } from '../../api/replies.ts'
import { type AddVerb, addVerb, jobText } from '../../verb.ts'

export const end: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'end', {
    summary: 'deregister a job and free every byte of it',
    details: 'Objects that were put with --persist stay (mayfly kept).',
    examples: ['mayfly end wordcount', 'mayfly end j-r6qmx7ktw2a5c --json'],
  }).argument('<job>', jobText)
  onReply(verb, cli, {
    ask: ({ credentials, words: [job = ''] }) => requestJob<JobReply>(credentials, job, { method: 'DELETE' }),
    text: ({ id }) => `${id} has ended`,
  })
}
