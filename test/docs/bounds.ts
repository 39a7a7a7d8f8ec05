import { LOG_BYTES_MAX } from '../../cli/up/log-folder.ts'
import * as controller from '../../controller/limits.ts'
import * as shared from '../../protocol/limits.ts'
import { LINES_BURST, LINES_PER_SECOND } from '../../service/process/log-limit.ts'
import * as server from '../../service/server/limits.ts'
import * as budget from '../../storage-node/budget/limits.ts'
import * as node from '../../storage-node/limits.ts'
import { bytes, count, ms, type Rows } from './tables.ts'

/** What protects the jobs of a node from one another, for docs/security.md. */
export function boundRows(): Rows {
  const readsOfOneMax = server.JOB_HELD_BYTES_MAX / shared.RECEIVE_BYTES
  const silent = [ms(shared.LINK_SILENT_MS), ms(2 * shared.LINK_SILENT_MS)]
  const looks = [ms(server.READER_LOOK_MS), ms(2 * server.READER_LOOK_MS)]
  return [
    ['what', 'bound'],
    [
      'bytes in RAM, on SSD, on S3',
      `what the job reserved on the node; while the node has room that nobody reserved or uses, a quarter and ${bytes(shared.CHUNK_BYTES)} more, but no more than the job reserved in all`,
    ],
    [
      'growth of a job without a capacity hint',
      'follows its use, within the quota of its API key and of the cluster; bytes in RAM, on SSD and on S3 count alike',
    ],
    ['bytes per second', 'what the job reserved, more while others leave it'],
    [
      'CPU time',
      `a job has a turn of ${shared.TURNS_SHARED_MS} ms between two looks at the network while another job is there (deficit round robin), and the time counts against its bytes per second: at a node of 1 GB/s, who reserved 100 MB/s has a tenth of the CPU time that jobs share, which is ${node.CPU_RESERVABLE_SHARE * 100} % of the node's`,
    ],
    ['keys in one message', count(shared.MANY_KEYS_MAX)],
    ['runs of equal chunks in one manifest', count(shared.MANIFEST_RUNS_MAX)],
    ['metadata of an object', `${bytes(shared.METADATA_BYTES_MAX)}, ${count(node.METADATA_NAMES_MAX)} names`],
    ['buckets of a job', `${count(shared.BUCKETS_MAX)} at a time`],
    [
      'memory that connections hold: incomplete frames, received bytes that wait, answers that wait for a reader',
      `${bytes(server.JOB_HELD_BYTES_MAX)} for a job, ${bytes(server.SERVER_HELD_BYTES_MAX)} for all jobs of a server; above that ${bytes(server.JOB_HELD_BYTES_MIN)} are left to each job. A connection may queue ${bytes(server.ANSWERS_QUEUED_BYTES_MAX)} of answers, ${bytes(server.ANSWERS_QUEUED_BYTES_MAX_CROWDED)} above half of the job's bound, ${bytes(server.ANSWERS_QUEUED_BYTES_MAX_FULL)} above it. Above it incomplete frames of more than ${bytes(server.FRAME_HELD_BYTES_MIN)} wait for room. Above twice it all requests of the job wait`,
    ],
    [
      'bytes of one read of a connection',
      `${bytes(shared.RECEIVE_BYTES)}, less for a job with more than ${count(readsOfOneMax)} connections, so that one read of each is at most ${bytes(server.JOB_HELD_BYTES_MAX)}, but at least ${bytes(server.RECEIVE_BYTES_MIN)}`,
    ],
    ['equal reads from SSD, S3 or another node that are under way', 'one read'],
    [
      'a frame',
      `${bytes(shared.HEAD_BYTES_MAX)} of head and ${bytes(shared.PAYLOAD_BYTES_MAX)} of payload; lengths are checked before memory is allocated`,
    ],
    [
      'before the hello has passed',
      `${bytes(shared.HELLO_BYTES_MAX)} and ${ms(shared.HELLO_MS_MAX)}; ${count(shared.CONNECTIONS_GREETING_MAX)} such connections, of which the oldest is closed for a new one`,
    ],
    [
      'requests under way on one connection',
      `${count(shared.CALLS_OUTSTANDING_MAX)}; further ones are not read`,
    ],
    [
      'a peer that takes no answers',
      `is disconnected after ${silent[0]} to ${silent[1]}; one that takes less than ${bytes(server.ANSWERS_BYTES_PER_LOOK_MIN)} in ${looks[0]}, within ${looks[1]}`,
    ],
    [
      'an incomplete frame',
      `${bytes(shared.FRAME_BYTES_PER_LOOK_MIN)} must arrive in ${silent[0]}, or the connection is closed; pauses that the server makes do not count`,
    ],
    [
      'answers that are read from below RAM, and calls that wait for a key or for room',
      `${bytes(budget.JOB_UNDER_WAY_BYTES_MAX)} for a job, of which ${bytes(budget.JOB_UNDER_WAY_BYTES_MAX * budget.UNDER_WAY_PARKED_SHARE)} may be calls that wait; ${bytes(budget.NODE_UNDER_WAY_BYTES_MAX)} for a node, above which ${bytes(budget.JOB_UNDER_WAY_BYTES_MIN)} are left to each job`,
    ],
    [
      'keys that a listing collects',
      `${bytes(2 * node.LIST_CURSOR_BYTES_MAX)} for one collection, one of each job and ${node.LIST_GATHERINGS_MAX} of a node at a time; ${bytes(node.LIST_CURSORS_BYTES_MAX)} of cursors for a job, for ${ms(node.LIST_CURSOR_KEEP_MS)}`,
    ],
    [
      'large puts that were begun, readers of large objects',
      `${count(budget.LEASES_MAX)} of a job on a node; ${node.OPEN_PUTS_MAX} begun puts of keys in one slot`,
    ],
    [
      'recorded answers of mutations',
      `${count(shared.LANES_MAX)} lanes for a session, ${bytes(node.SESSIONS_BYTES_MAX)} for the sessions of a job on a node`,
    ],
    [
      'connections of a server',
      `${count(shared.CONNECTIONS_MAX)}, of which ${count(shared.CONNECTIONS_JOBS_MAX)} are shared among jobs: where places are scarce the job with most of them gives one up; one without a request ends after ${ms(shared.IDLE_LOOKS_MAX * shared.LINK_SILENT_MS)}`,
    ],
    [
      'event streams, waiting registrations',
      `${count(controller.EVENT_STREAMS_MAX)} and ${count(controller.REGISTRATIONS_UNDER_WAY_MAX)}, of one API key ${count(controller.EVENT_STREAMS_OF_KEY_MAX)} and ${count(controller.REGISTRATIONS_OF_KEY_MAX)}`,
    ],
    [
      'sessions, links and streams of the page',
      `${controller.SESSIONS_OF_KEY_MAX}, ${controller.LINKS_OF_KEY_MAX} and ${controller.PAGE_STREAMS_OF_KEY_MAX} of one API key`,
    ],
    ['HTTP bodies', `${bytes(controller.HTTP_BODY_BYTES_MAX)}, within ${ms(controller.HTTP_REQUEST_MS_MAX)}`],
    [
      'log lines',
      `each message ${LINES_BURST} times at once, then ${LINES_PER_SECOND} times a second; a log file ${bytes(LOG_BYTES_MAX)}, and one older one. The access log of the S3 gateway, which is off by default, has a line for each request and no bound`,
    ],
  ]
}
