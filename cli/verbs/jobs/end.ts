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

export const end: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'end', {
    summary: 'deregister a job and free every byte of it',
    details: 'Objects that were put with --persist stay (mayfly kept).',
    examples: ['mayfly end wordcount', 'mayfly end j-r6qmx7ktw2a5c --json'],
  }).argument('<job>', jobText)
  jsonOption(clusterOptions(verb))
  onRun<ClusterFlags & JsonFlag>(verb, cli, async ([job = ''], flags) => {
    const ended = await requestJob<JobReply>(findCredentials(flags, cli.config), job, { method: 'DELETE' })
    cli.terminal.print(flags.json === true ? JSON.stringify(ended) : `${ended.id} has ended`)
  })
}
