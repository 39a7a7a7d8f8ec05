import { dirOption, findCredentials } from '../api/credentials.ts'
import { requestAll } from '../api/http.ts'
import { type JobReply, sumTiers } from '../api/replies.ts'
import { type Column, formatBytes, formatTable, printable } from '../table.ts'
import type { Verb } from '../verb.ts'

const columns: readonly Column[] = [
  { heading: 'JOB', align: 'left' },
  { heading: 'NAME', align: 'left' },
  { heading: 'STATE', align: 'left' },
  { heading: 'RESERVED', align: 'right' },
  { heading: 'USED', align: 'right' },
  { heading: 'OBJECTS', align: 'right' },
  { heading: 'BYTES/S', align: 'right' },
]

export const jobs: Verb = {
  usage: 'jobs [--dir DIR] [--json]',
  summary: 'list the jobs that live',
  shape: { options: { json: 'flag', ...dirOption }, required: [], optional: [] },
  async run({ args, config, print }) {
    const jobs = await requestAll<JobReply>(findCredentials(args, config), '/v1/jobs', 'jobs')
    print(args.flag('json') ? JSON.stringify(jobs) : formatTable(columns, jobs.map(rowOf)))
    return 0
  },
}

function rowOf({ id, name, state, reservation, usage }: JobReply): string[] {
  return [
    id,
    printable(name),
    state,
    formatBytes(sumTiers(reservation.bytes)),
    formatBytes(sumTiers(usage.bytes)),
    String(usage.objects),
    formatBytes(usage.bytesPerSecond),
  ]
}
