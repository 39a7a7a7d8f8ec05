import { dirOption, findCredentials } from '../api/credentials.ts'
import { request } from '../api/http.ts'
import type { JobReply } from '../api/replies.ts'
import type { Verb } from '../verb.ts'

export const end: Verb = {
  usage: 'end JOB [--dir DIR] [--json]',
  summary: 'deregister a job and free every byte of it',
  shape: { options: { json: 'flag', ...dirOption }, required: ['JOB'], optional: [] },
  async run({ args, config, print }) {
    const path = `/v1/jobs/${encodeURIComponent(args.word(0))}`
    const job = await request<JobReply>(findCredentials(args, config), { method: 'DELETE', path })
    print(args.flag('json') ? JSON.stringify(job) : `${job.id} has ended`)
    return 0
  },
}
