/** Bounds that only the controller has. Bounds that clients and other planes share are in `protocol/limits.ts`. */

import { HEARTBEAT_MS, LEASE_MARGIN_MS, NODE_LEASE_MS } from '../protocol/limits.ts'

export const JOB_NAME_BYTES_MAX = 128
/**
 * `host:port` of a node or metadata server. With addresses of this length a job's shares on `JOB_NODES_MAX`
 * nodes still fit a head.
 */
export const ADDRESS_BYTES_MAX = 160
/**
 * Concurrent calls of the controller to one metadata server: a thousand jobs end in a second, and an
 * unresponsive server holds no more than these.
 */
export const METADATA_CALLS_MAX = 256
/**
 * The controller stops a node after this silence: metadata has declared it dead by then. Three heartbeats
 * longer than that takes.
 */
export const NODE_SILENCE_MS_MAX = NODE_LEASE_MS + LEASE_MARGIN_MS + 3 * HEARTBEAT_MS
/** Default lease of a job without use or renewal. */
export const JOB_LEASE_SECONDS_DEFAULT = 600
/** Key prefix of a ticket: with it a ticket is well under 1 KiB besides its placement. */
export const TICKET_PREFIX_BYTES_MAX = 256
export const HTTP_BODY_BYTES_MAX = 64 * 1024
/** Deadline for receiving a request: head and body are a few kilobytes. */
export const HTTP_REQUEST_MS_MAX = 30_000
/** Interval of the check for requests that are late. */
export const HTTP_CHECK_MS = 1_000
/** How long a stop waits for running requests; each learns of the stop within `RETRY_MS_MAX`. */
export const HTTP_STOP_MS_MAX = 1_000
/** How long running requests may still decide after a stop began. */
export const STOP_DECIDING_MS_MAX = 250
/** Events retained for reconnecting readers of `GET /v1/events`. */
export const EVENTS_RETAINED_MAX = 1_000
export const EVENT_STREAMS_MAX = 400
/** Per API key: more than its dashboards and watchers. */
export const EVENT_STREAMS_OF_KEY_MAX = 100
/** Ended jobs retained for `GET /v1/jobs/:id`. */
export const ENDED_JOBS_RETAINED_MAX = 1_000
/** Running jobs: each lease check and decision scans all of them; 10,000 take about 1 ms. */
export const JOBS_MAX = 10_000
/** Registrations that wait in the queue or for nodes to start; further ones are refused. */
export const REGISTRATIONS_UNDER_WAY_MAX = 4_000
/** Per API key. */
export const REGISTRATIONS_OF_KEY_MAX = 1_000
/** A registration whose callers have all disconnected is undone after this time: a client repeats at once. */
export const REGISTRATION_CLAIM_MS = 10_000
/** Age up to which the placement of a new job is in the ticket that answers its registration: a node that dies is noticed later. */
export const FIRST_PLACEMENT_MS = 1_000
/** `Retry-After` of a 429 and of a 503 that is postponed: a burst of registrations that fit is over by then, and a take-over. */
export const RETRY_AFTER_SECONDS = 1
/** Earlier runs of a job name that are needed: before the third a guess is no worse. */
export const RUNS_LEARNED_MIN = 3
/** Runs retained per job name: enough for the 95th percentile to exclude one. */
export const RUNS_RETAINED_MAX = 20
/** Job names whose runs are retained: at 150 bytes a run, 30 MB at most. */
export const JOB_NAMES_REMEMBERED_MAX = 10_000
/**
 * A heartbeat of a node with every running job on it: about 350 bytes of JSON for a job in RAM alone, 700 on
 * three tiers.
 */
export const REPORT_BYTES_MAX = 8 * 1024 * 1024
/** As long as the headers of the payment APIs that made `Idempotency-Key` known. */
export const IDEMPOTENCY_KEY_BYTES_MAX = 255
/** Replacements for nodes that exited before their first report, per registration or repair. */
export const NODE_REPLACEMENTS_MAX = 2
/** Consecutive reports without a job before a draining node counts as empty: one may have been in flight. */
export const DRAIN_EMPTY_REPORTS = 2
/**
 * Reports without progress after which a relocation from a node is given up: at the rate of background pulls
 * 120 s move 30 GiB.
 */
export const RELOCATION_REPORTS_MAX = 120
/** Nodes tried besides those to be drained: each try repacks all jobs of a node. */
export const SCALE_IN_TRIES_MAX = 8
/** Seconds before a job that could not grow is tried again: room appears when another job ends. */
export const GROWTH_RETRY_ROUNDS = 30
/** Job names for which nodes are kept warm: each is repacked at every check, in 1 to 2 ms on 1,000 nodes. */
export const EXPECTED_NAMES_MAX = 20
/** Seconds between two checks of expected jobs; their windows are minutes. */
export const EXPECTED_ROUNDS = 10
/** How long a lost node stays in `GET /v1/nodes`, so that it is visible after a fault. */
export const LOST_NODE_RETAINED_MS = 10 * 60_000
export const LOST_NODES_RETAINED_MAX = 100
/** Back-off for starting nodes of a class after failed starts; doubled up to the maximum. */
export const NODE_START_RETRY_MS_MIN = 1_000
export const NODE_START_RETRY_MS_MAX = 60_000
/** After a failed start, nodes of other classes are preferred for this time: machines or an image come back in minutes. */
export const CLASS_AVOIDED_MS = 5 * 60_000
/** Interval at which a job's last use is stored: a controller restart ends a job at most this much early. */
export const LAST_USE_WRITE_MS = 5_000
/** Items on one page of a list. */
export const LIST_MAX = 1_000
/** Interval of comments on idle event streams, below the idle limits of common proxies (30 s and more). */
export const EVENT_STREAM_HEARTBEAT_MS = 15_000
/** Queued bytes of an event stream; a slower reader is disconnected and resumes where it stopped. */
export const EVENT_STREAM_BYTES_MAX = 1024 * 1024
/** Jobs with metrics of their own: those with most reserved. */
export const METRICS_JOBS_MAX = 200
/** A session of the page, and with it its cookie, ends this long after the login. */
export const SESSION_SECONDS = 12 * 3600
/** Sessions of the page; the oldest one ends for one more. */
export const SESSIONS_MAX = 1_000
/** Per API key, so that no key can end the sessions of others alone. */
export const SESSIONS_OF_KEY_MAX = 50
/** A one-time link to the page is valid for this long: time to find the line of `mayfly up` in a terminal. */
export const LINK_SECONDS = 600
/** Unused links per API key; the oldest one ends for one more. */
export const LINKS_OF_KEY_MAX = 20
/** Readers of the page's stream, and those of one API key. */
export const PAGE_STREAMS_MAX = 100
export const PAGE_STREAMS_OF_KEY_MAX = 20
/** Interval of what the page shows. */
export const PAGE_SAMPLE_MS = 2_000
/** Samples retained for the plots: ten minutes. */
export const PAGE_SAMPLES_KEPT = 300
/** Every so many samples one of each shown job is retained. */
export const PAGE_JOB_SAMPLE_EVERY = 3
/** Jobs and nodes on the page: jobs with most reserved, and the fullest nodes. Others are counted. */
export const PAGE_JOBS_MAX = 100
export const PAGE_NODES_MAX = 200
/** Past events that a new reader of the page gets. */
export const PAGE_EVENTS_MAX = 200

/**
 * An access key of S3 ends with its job, or after this time: programs that speak S3 cannot renew one, and a job that lives
 * for a year needs a new one.
 */
export const S3_KEY_SECONDS = 365 * 86_400
