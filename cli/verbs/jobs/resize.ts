import { requestJob } from '../../api/http.ts'
import { type Asked, onReply } from '../../api/on-reply.ts'
import type { JobReply } from '../../api/replies.ts'
import { type AddVerb, addVerb, jobText } from '../../verb.ts'
import { type HintFlags, hintOption, reserved } from './hints.ts'

export const resize: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'resize', {
    summary: 'change the hints of a job, and with them what it has reserved',
    details:
      'Functions go on meanwhile. Hints that are not named stay. If there is no room, nothing changes.',
    examples: [
      'mayfly resize wordcount --hint capacityBytes=1GiB',
      'mayfly resize wordcount --hint peakBytesPerSecond=500MB --json',
    ],
  }).argument('<job>', jobText)
  onReply(verb, cli, {
    ask: ({ credentials, words: [job = ''], flags: { hint } }: Asked<HintFlags>) =>
      requestJob<JobReply>(credentials, job, { method: 'PATCH', body: { hints: hint } }),
    text: ({ id, reservation }) => `${id} has ${reserved(reservation)}`,
  })
  hintOption(verb, { isRequired: true })
}
