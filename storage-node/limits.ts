/** Bounds that only a storage node has. Bounds that clients and other planes share are in `protocol/limits.ts`. */

import { BUCKET_TOLD_MS, NODE_LEASE_MS } from '../protocol/limits.ts'

/**
 * How long a node that missed a bucket relies on metadata's answer. Shorter than `BUCKET_TOLD_MS`: a bucket
 * whose creation was acknowledged before a put began is in every answer to a younger lookup.
 */
export const BUCKETS_FRESH_MS = BUCKET_TOLD_MS / 2
/** Metadata names of one object: each costs four bytes besides its text, and S3 allows no more headers. */
export const METADATA_NAMES_MAX = 1024
/** Jobs in one heartbeat; nodes with more send several. */
export const HEARTBEAT_JOBS_MAX = 10_000
/** Entries in one page of an index: with usual keys and metadata about 100 KiB. */
export const INDEX_PAGE_ENTRIES = 1_000
export const INDEX_PAGE_BYTES = 512 * 1024
/** Bytes per second of a node's background pulls, so that reads and writes keep most of the machine. */
export const PULL_BYTES_PER_SECOND = 48 * 1024 * 1024
/** Concurrent background pulls of a node. Reads of remote entries do not queue behind them. */
export const PULLS_MAX = 2
/**
 * Bytes of one background pull: about 100 µs of the source's time, for which a client's call may have to
 * wait.
 */
export const PULL_BATCH_BYTES = 256 * 1024
/** Items of one pull. */
export const PULL_ITEMS_MAX = 256
/**
 * Cost of a job without objects on a node, and of each used slot: JavaScript objects. Measured: 2.8 KiB, and
 * 522 bytes. They reduce what the node can lend to jobs, not what the job may store.
 */
export const JOB_OVERHEAD_BYTES = 4 * 1024
export const SLOT_OVERHEAD_BYTES = 528
/** Cost of a chunk besides its bytes: an entry in JavaScript maps. */
export const CHUNK_OVERHEAD_BYTES = 512
/** A large put must commit or renew its lease within this time; then its chunks are reclaimed. */
export const PUT_LEASE_MS = 30_000
/** Open large puts in one slot: with 1,024 slots, 65,536 for a job. */
export const OPEN_PUTS_MAX = 64
/** Pause between two rounds in which a node asks owners whether its chunks are still needed. */
export const RECLAIM_MS = 2_000
/** Versions in one message of such a round: 256 keys of up to 200 bytes fit the head. */
export const RECLAIM_BATCH = 256
/** Limit of objects that grow by `append`, which are stored in one place. */
export const APPEND_BYTES_MAX = 16 * 1024 * 1024
/**
 * Memory of one node: addresses are a u32 of eight-byte units. Larger machines run several nodes, one per
 * core.
 */
export const ARENA_BYTES_MAX = 28 * 2 ** 30
/** How long a node remembers an idle session without a connection: twice as long as a client repeats. */
export const SESSION_KEEP_MS = 60_000
/**
 * Cost of a session besides its lanes, and of a lane besides its answer: measured, with the entries that find
 * them.
 */
export const SESSION_OVERHEAD_BYTES = 512
export const LANE_OVERHEAD_BYTES = 256
/**
 * Bytes of one job's sessions and lanes at one node. Above it disconnected sessions are evicted, oldest
 * first; then mutations that need another lane are refused. Enough for 65,536 concurrent mutations and as
 * many departed functions.
 */
export const SESSIONS_BYTES_MAX = 48 * 1024 * 1024
/** Interval of the sweep that frees expired objects, which readers no longer see. */
export const TTL_SWEEP_MS = 1_000
export const LIST_PAGE_BYTES_MAX = 512 * 1024
/** Table cells or keys visited in one step of the collection of a listing's keys: about 1 ms of work. */
export const LIST_SCAN_BATCH = 2_000
/** Keys of a page of a listing that are looked up in one step: below 1 ms. */
export const LIST_PAGE_STEP_KEYS = 500
/** Cells of one table visited in one step. */
export const LIST_SCAN_CELLS = 1_000
/**
 * Keys of a page of a listing, or of a statMany, that take as long as a small request: as such they count against
 * the job's rate.
 */
export const KEYS_PER_REQUEST = 10
/** Keys of a listing sorted in one step: 0.5 ms. */
export const LIST_RUN_KEYS = 1_000
/**
 * Bytes of keys that a listing collects at once: 140,000 keys of 20 bytes, for 140 pages. At twice as many
 * some are dropped.
 */
export const LIST_CURSOR_BYTES_MAX = 8 * 1024 * 1024
/** Collections of keys that run at once on a node, one of each job: 16 MiB each. */
export const LIST_GATHERINGS_MAX = 16
/**
 * Bytes of all cursors of one job on one node. The least recently used are dropped, and their listings
 * collect again.
 */
export const LIST_CURSORS_BYTES_MAX = 4 * LIST_CURSOR_BYTES_MAX
/** Cursors idle for this long are dropped. */
export const LIST_CURSOR_KEEP_MS = 10_000
/** Table cells visited in one turn of the event loop by background sweeps. */
export const SWEEP_CELLS = 2_000
/** Pause of the expiry sweep after each such turn: it uses at most a tenth of the time. */
export const SWEEP_PAUSE_MS = 5
/**
 * Cost of a request besides its bytes, in bytes that take the same time: at 1 GB/s, or about 100,000 small
 * requests a second.
 */
export const REQUEST_COST_BYTES = 8 * 1024
/** What a paused job may catch up on: longer than the timer delay of a busy loop. */
export const RATE_BURST_MS = 100
/** After a burst of borrowing, others borrow again within this time. */
export const RATE_DEBT_MS_MAX = 1_000
/** Interval at which paused connections are checked. */
export const RATE_TICK_MS = 1
/** Connections of one job resumed at a time: each can overdraw by one read. */
export const RATE_RESUMES_MAX = 8
/**
 * Share of a node's CPU time that jobs together may reserve. The rest is for heartbeats, handoffs and moves
 * between tiers.
 */
export const CPU_RESERVABLE_SHARE = 0.8
/** Deadline of a heartbeat: five fit a lease. */
export const HEARTBEAT_CALL_MS = NODE_LEASE_MS / 5
