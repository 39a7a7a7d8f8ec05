import { requestAll } from '../../api/http.ts'
import { onReply } from '../../api/on-reply.ts'
import { type JobReply, sumTiers } from '../../api/replies.ts'
import { type Column, formatBytes, formatTable, printable, stateColumn } from '../../terminal/table.ts'
import { painter } from '../../terminal/terminal.ts'
import { type AddVerb, addVerb } from '../../verb.ts'

const columns: readonly Column[] = [
  { heading: 'JOB', align: 'left' },
  { heading: 'NAME', align: 'left' },
  stateColumn,
  { heading: 'RESERVED', align: 'right' },
  { heading: 'USED', align: 'right' },
  { heading: 'OBJECTS', align: 'right' },
  { heading: 'BYTES/S', align: 'right' },
]

export const jobs: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'jobs', {
    summary: 'list the jobs that have not ended',
    examples: ['mayfly jobs', "mayfly jobs --json | jq '.[] | {id, name, usage}'"],
  })
  onReply(verb, cli, {
    ask: ({ credentials }) => requestAll<JobReply>(credentials, 'jobs'),
    text: (jobs) => formatTable(columns, jobs.map(rowOf), painter(cli.terminal)),
  })
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
