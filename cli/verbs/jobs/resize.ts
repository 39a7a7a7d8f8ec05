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
  hintOption(jsonOption(clusterOptions(verb)))
  onRun<ClusterFlags & JsonFlag & HintFlags>(verb, cli, async ([job = ''], { hint, ...flags }) => {
    if (hint === undefined) return verb.error("error: required option '--hint <name=value>' not specified")
    const asked = { method: 'PATCH', body: { hints: hint } } as const
    const resized = await requestJob<JobReply>(findCredentials(flags, cli.config), job, asked)
    const { id, reservation } = resized
    cli.terminal.print(flags.json === true ? JSON.stringify(resized) : `${id} has ${reserved(reservation)}`)
  })
}
