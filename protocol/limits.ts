/**
 * Every bound of Mayfly in one place: what it limits, its unit, and why it has this value. A bound that only
 * one process can see still stands here, so that an operator finds all of them on one page.
 */

/** Version of the wire. A hello with another one is refused; a change of the wire's shape must raise it. */
export const PROTOCOL_VERSION = 9

// Keys and names.

/** As S3: long enough for any path, short enough that a hash of it costs well under a microsecond. */
export const KEY_BYTES_MAX = 1024
/** As S3's bucket names. */
export const BUCKET_NAME_BYTES_MAX = 63
/**
 * Living buckets of a job. Each change of one writes the names of all of them down and tells nodes their ids, as runs: with so many a
 * metadata server takes half a millisecond for it, and a message 8 KiB. How many there were before them costs nothing.
 */
export const BUCKETS_MAX = 1_000
/** Ids of buckets are never used again. */
export const BUCKET_ID_MAX = 2 ** 32 - 1
/** Whoever creates a bucket waits this long at most until the job's nodes have heard of it. */
export const BUCKET_TOLD_MS = 1_000
/**
 * A node that did not hear of a bucket takes metadata's answer for this long. Shorter than a creation waits: a bucket whose creation was
 * answered before a put began is in every answer to a question that is younger than this.
 */
export const BUCKETS_FRESH_MS = BUCKET_TOLD_MS / 2
/** Names one call over its repetitions: random, so that no two calls share one. */
export const REQUEST_ID_BYTES = 16
/**
 * Creations and deletions of buckets that a job's metadata server remembers by their request, so that a repetition gets the first answer: a client
 * repeats for 30 s, and in that time more than these would be 34 a second.
 */
export const BUCKET_REQUESTS_KEPT_MAX = 1_024
export const JOB_NAME_BYTES_MAX = 128
/** User metadata of an object: four times S3's 2 KiB, so that encoded S3 headers fit too. */
export const METADATA_BYTES_MAX = 8 * 1024
/** Names of one object's metadata: each costs four bytes beside its text, and S3 has no request with more headers. */
export const METADATA_NAMES_MAX = 1024

// Objects and frames.

/** An object up to this size is one message; above it, it travels in chunks of this size. */
export const CHUNK_BYTES = 1024 * 1024
/** 2^20 chunks of 1 MiB: 1 TiB. */
export const CHUNKS_MAX = 2 ** 20
/**
 * Runs of equal chunks in one manifest: 32 KiB in a reply, an index or a commit. A client that cuts objects into chunks of one
 * length needs two, whatever the object's size.
 */
export const MANIFEST_RUNS_MAX = 4_096
export const OBJECT_BYTES_MAX = CHUNK_BYTES * CHUNKS_MAX
/** `get` returns one Buffer; what is larger has to be read in parts. Half of what Node 20 can allocate. */
export const GET_BYTES_MAX = 2 ** 31
/** Fields of one message. The largest are a page of a listing and the placement of a job on 4,096 nodes. */
export const HEAD_BYTES_MAX = 1024 * 1024
/** One chunk; what is larger is cut. */
export const PAYLOAD_BYTES_MAX = 1024 * 1024
/**
 * Up to this size copying a payload behind its head costs less than one more entry in a gathered write. So a node keeps
 * what is smaller among its records, which may move at any time, and what is larger where it stays until it is sent.
 */
export const PAYLOAD_COPIED_BYTES_MAX = 8 * 1024
/** What a peer may send before its hello has passed: a token is under 200 bytes. */
export const HELLO_BYTES_MAX = 4 * 1024
export const HELLO_MS_MAX = 5_000
/** A connection looks at its token's expiry at least this often: a wall clock may be set, and a timer holds 24 days at most. */
export const EXPIRY_CHECK_MS_MAX = 60_000
/** Message texts of errors are cut to this, so that an error always fits its frame. */
export const ERROR_MESSAGE_BYTES_MAX = 1024

// Placement.

/** Enough that 100 nodes differ by less than 10 % in their share, few enough that a placement is 2 KiB. */
export const SLOTS_DEFAULT = 1024
export const SLOTS_MAX = 16_384
/** Nodes of one job. A slot's node is a u16 index, and 65,535 says «nobody». */
export const JOB_NODES_MAX = 4_096
/** `host:port` of a node or metadata server: with addresses of this length a job's shares on `JOB_NODES_MAX` nodes still fit a head. */
export const ADDRESS_BYTES_MAX = 160
/** A version is `epoch × 2^32 + counter` and must stay a safe integer: 53 - 32 = 21 bits of epoch. */
export const EPOCH_MAX = 2 ** 21 - 1
/** How long metadata holds a question for a newer placement before it answers with what it has. */
export const PLACEMENT_HOLD_MS = 1_000
/** Held questions of one job; the next is answered at once with what there is. */
export const QUESTIONS_MAX = 10_000

// Handoff.

/** Slots of one move: they are frozen together, for about the time that their index takes to travel. */
export const MOVE_SLOTS_MAX = 16
/** Moves of one job that have not settled. */
export const MOVES_MAX = 4
/** The record of a job that is handed to another metadata server travels in pages of this size. */
export const RECORD_PAGE_BYTES = 256 * 1024
/** Of one record: on `JOB_NODES_MAX` nodes, with `SLOTS_MAX` slots and `BUCKETS_MAX` buckets, 3 MiB. */
export const RECORD_PAGES_MAX = 32
/** Jobs that one heartbeat names: those of a node with more travel in several. */
export const HEARTBEAT_JOBS_MAX = 10_000
/** How long a node holds the question whether slots have settled. */
export const SETTLE_HOLD_MS = 500
/** Entries of one page of an index: with keys and metadata of usual size, some 100 KiB. */
export const INDEX_PAGE_ENTRIES = 1_000
export const INDEX_PAGE_BYTES = 512 * 1024
/** Bytes that one background pull of a node moves per second at most, so that reads and writes keep most of the machine. */
export const PULL_BYTES_PER_SECOND = 48 * 1024 * 1024
/** Background pulls of a node that are under way at once; a read of an entry that is not here yet does not queue behind them. */
export const PULLS_MAX = 2
/** Of one background pull: some 100 µs of the source's time, which is what a client's call may have to wait for. */
export const PULL_BATCH_BYTES = 256 * 1024
/** Items of one pull. */
export const PULL_ITEMS_MAX = 256

// Calls and connections.

/** A call's deadline where the caller names none. Longer than a node lease plus the repair after it. */
export const CALL_MS_DEFAULT = 30_000
export const CALL_MS_MAX = 15 * 60_000
/** Calls of the controller to one metadata server at a time: a thousand jobs end in a second, and one that hangs holds no more than these. */
export const METADATA_CALLS_MAX = 256
/** Connecting on a network where functions live takes milliseconds; a SYN that was lost is sent again at 1 s and 3 s. */
export const CONNECT_MS_MAX = 4_000
/** How long the end of a job waits for nodes to free its bytes; one that hangs frees them with its next heartbeat. */
export const JOB_DROP_MS = 2_000
/** Calls between the planes: they wait for a SQLite write and a round trip, never for a user. */
export const CONTROL_CALL_MS = 5_000
/** How long an aborted mutation waits for the server's word whether it is carried out: a round trip, and a busy server. */
export const CANCEL_ANSWER_MS = 1_000
/** Calls on one connection that wait for their answer. The next one is refused, so that a runaway loop fails early. */
export const CALLS_OUTSTANDING_MAX = 65_536
/** Chunks of one large object under way at once: 16 MiB fill a 10 Gb/s path of 12 ms. */
export const CHUNKS_IN_FLIGHT = 16
/** Chunks that a stream asks for ahead of its reader: what a slow reader costs, some 8 MiB. */
export const STREAM_WINDOW_CHUNKS = 8
/** Chunks under way, or read ahead, of all streams of one job in a client: 64 MiB, enough for eight streams at full speed. */
export const STREAM_CHUNKS_MAX = 64
/** The reader of a stream may rest for this long before its version's lease is not renewed any more: twice the lease. */
export const STREAM_REST_MS_MAX = 60_000
/** The source of a putStream may rest for this long, as long as any call may take; then the put is given up and its chunks are freed. */
export const SOURCE_REST_MS_MAX = 15 * 60_000
/**
 * Bytes of answers that may wait for one client to take them, beside those of one answer: above, nothing more that it asks
 * is worked off until all are written.
 */
export const ANSWERS_QUEUED_BYTES_MAX = 4 * 1024 * 1024
/** The same while those of all connections of a process are over `ANSWERS_QUEUED_BYTES_MANY`: a thousand clients that read nothing cost 0.4 GB. */
export const ANSWERS_QUEUED_BYTES_MAX_CROWDED = 128 * 1024
export const ANSWERS_QUEUED_BYTES_MANY = 128 * 1024 * 1024
/**
 * Bytes that may wait for one server to take them, beside those of one call: above, calls wait for their turn, unsent. As
 * much as one large object has under way.
 */
export const CALLS_QUEUED_BYTES_MAX = CHUNKS_IN_FLIGHT * CHUNK_BYTES
/**
 * A peer that owes the rest of a frame, or takes nothing of what waits for it, for this long is let go, at the latest
 * after twice that. As long as a node may be silent before its slots are given to another.
 */
export const LINK_SILENT_MS = 15_000
/** A server that was sent something and has nothing to answer yet says within this that it came. */
export const RECEIPT_MS = 200
/** Pause between two looks at a connection on which somebody waits: one timer, whatever the number of calls. */
export const LOOK_MS = 200
/** Looks without a byte after a question, before the connection counts as silent: 400 to 600 ms, which is `RECEIPT_MS` and a slow round trip. */
export const SILENT_LOOKS = 3
/** Looks without a byte after which a peer that owes nothing but late answers, parked ones, is asked whether it is there: 5 s. */
export const PING_LOOKS = 25
/** A look that is this late on the wall clock follows a standstill of the process or its machine: the peer is asked at once. */
export const STANDSTILL_MS = 1_000
/**
 * After the server has answered over another connection, it has this long to answer over the silent one: `RECEIPT_MS`, and
 * as much as it may be late with that where it has just stood still.
 */
export const COMPARISON_MS = 300
/** The other connection has this long for each answer, and the next one twice as long: the server may stand still for a while. */
export const WITNESS_MS_MIN = 750
/** A timer that is this late waits for what had arrived: more than a loaded machine makes it wait, less than anyone notices. */
export const TIMER_LATE_MS = 100
/** Connections of one server process. */
export const CONNECTIONS_MAX = 10_000
/** Of those of jobs: the rest is for the planes and for those that have not said yet who they are. */
export const CONNECTIONS_JOBS_MAX = 8_500
/** Those that have not said who they are: a burst of a thousand clients says so within milliseconds. */
export const CONNECTIONS_GREETING_MAX = 1_000
/** A connection of a job that asked nothing for so many looks, each `LINK_SILENT_MS` after the one before it, is ended: five minutes. */
export const IDLE_LOOKS_MAX = 20
/** What has to come of a frame within `LINK_SILENT_MS` while it is not whole: 35 kbit/s. */
export const FRAME_BYTES_PER_LOOK_MIN = 64 * 1024
/** What one read of a socket takes at most, into memory that all connections of a process share. */
export const RECEIVE_BYTES = 256 * 1024
/**
 * Replies that a server writes while it still works on others of the same read. Were all of a read answered in one write, the
 * client would have nothing to do until then, and the server nothing until the client sends again: two cores would
 * take turns.
 */
export const REPLIES_FIRST_PORTION = 8
/** Memory that the frames of one write are encoded into, payloads of up to 8 KiB with them. */
export const SLAB_BYTES = 128 * 1024
/** Of those that are not in use; more are given back to the system. */
export const SLABS_KEPT_MAX = 64
/** Pause between two attempts to reach a peer that refused: doubled up to the maximum, with jitter. */
export const RETRY_MS_MIN = 20
export const RETRY_MS_MAX = 500
/** Pause after a background task of a server has failed: doubled up to the maximum, with jitter. What it needs is a disk or an endpoint that an operator mends. */
export const TASK_RETRY_MS_MIN = 50
export const TASK_RETRY_MS_MAX = 5_000
/** Of one kind. Each is a job or a node; failures of those above are counted, and logged each time. */
export const TASKS_FAILING_MAX = 10_000

// Storage nodes.

/**
 * What an object costs beside its payload, key and metadata: the 24 bytes with which its record begins, and 16 of the
 * index and of the ends of pages. Measured: 17 to 21 at 5 million objects of 100 bytes.
 */
export const ENTRY_OVERHEAD_BYTES = 40
/**
 * What a job costs a node of which it has nothing, and what each of its slots costs from the moment that it is touched: objects of
 * JavaScript. Measured: 2.8 KiB, and 522 bytes. They count as held on the node beside what the job has reserved or uses, so that what
 * may be lent to others is as much less; what the job may store is not.
 */
export const JOB_OVERHEAD_BYTES = 4 * 1024
export const SLOT_OVERHEAD_BYTES = 528
/** What a chunk of a large object costs beside its bytes: an entry in maps of JavaScript. */
export const CHUNK_OVERHEAD_BYTES = 512
/** A large put must commit, or renew, within this; its chunks are reclaimed after it. */
export const PUT_LEASE_MS = 30_000
/** Large puts under way in one slot: with 1,024 slots, 65,536 for a job. */
export const OPEN_PUTS_MAX = 64
/** A reader of a manifest has this long to fetch its chunks, or to renew its lease. */
export const READ_LEASE_MS = 30_000
/** Pause between two rounds in which a node asks the owners whether the chunks that it holds are still wanted. */
export const RECLAIM_MS = 2_000
/** Versions asked about in one message of such a round: 256 keys of up to 200 bytes fit the head. */
export const RECLAIM_BATCH = 256
/** `append` keeps an object in one place; what is larger should be put. */
export const APPEND_BYTES_MAX = 16 * 1024 * 1024
/** Memory of one node: addresses in it are a u32 of eight bytes each. A machine with more runs several nodes, one for each core. */
export const ARENA_BYTES_MAX = 28 * 2 ** 30
/** Longest time that a get may wait for its key. */
export const WAIT_SECONDS_MAX = 900
export const DELETE_MANY_MAX = 1_000
/** Keys of one getMany, waitMany or putMany message: with keys of the maximum length they still fit its head. */
export const MANY_KEYS_MAX = 1_000
/** A larger value travels alone: it fills a write of its own, and the node neither copies nor gathers it. */
export const MANY_VALUE_BYTES_MAX = 64 * 1024
/** Messages of one getMany or putMany call under way at once: with full payloads, 8 MiB. */
export const MANY_IN_FLIGHT = 8
/** Of a nonce, the server's or the client's: random, so that no two are ever the same. */
export const NONCE_BYTES = 16
/** Challenges that a hello names: hellos without an answer one after another, before a client has to begin a new session. */
export const RESUME_MAX = 8
/**
 * Mutations of one client under way at one node, parked ones too: each has a lane, a u16, of which the node keeps the last
 * answer. The next one is refused. As many as calls on a connection, so that lanes are never what runs out first.
 */
export const LANES_MAX = 65_536
/** A client repeats a mutation for this long; a consumed object's bytes are kept for it as long. */
export const REPEAT_MS_MAX = 30_000
/**
 * A node forgets a session that has had no connection and nothing under way for this long: twice what a client may still
 * repeat.
 */
export const SESSION_KEEP_MS = 60_000
/** What a session costs beside its lanes, and a lane beside its answer: measured, with the entries that find them. */
export const SESSION_OVERHEAD_BYTES = 512
export const LANE_OVERHEAD_BYTES = 256
/**
 * Sessions and lanes of one job at one node. Above, those that lost their connection are forgotten, the oldest first, and then
 * mutations that need another lane are refused. Enough for 65,536 mutations under way and as many functions that are gone.
 */
export const SESSIONS_BYTES_MAX = 48 * 1024 * 1024
/** A client that has nothing more to say settles its last mutations after this, so that consumed bytes are freed. */
export const SETTLE_AFTER_MS = 20
/** Expired objects vanish at once for readers; their bytes are freed by a sweep this often. */
export const TTL_SWEEP_MS = 1_000
/** Ten years: longer than any job, short enough that milliseconds stay exact. */
export const TTL_SECONDS_MAX = 10 * 365 * 86_400
/** Entries of one page of a listing: with keys of the maximum length 1.1 MiB would not fit a head, so bytes bound it too. */
export const LIST_PAGE_MAX = 1_000
export const LIST_PAGE_BYTES_MAX = 512 * 1024
/** Cells of tables, or keys, looked at between two yields of a listing to the event loop: about a millisecond of work. */
export const LIST_SCAN_BATCH = 2_000
/** Of one table in one step. */
export const LIST_SCAN_CELLS = 1_000
/** Keys of a listing that are sorted in one step: half a millisecond. */
export const LIST_RUN_KEYS = 1_000
/** Keys that a listing gathers at once, with what they take in memory: 140,000 of 20 bytes, for 140 pages. At twice as many some are dropped. */
export const LIST_CURSOR_BYTES_MAX = 8 * 1024 * 1024
/** Of all cursors of one job on one node; those that were used longest ago go first, and their listings gather anew. */
export const LIST_CURSORS_BYTES_MAX = 4 * LIST_CURSOR_BYTES_MAX
/** A cursor that nobody has asked for this long is forgotten. */
export const LIST_CURSOR_KEEP_MS = 10_000
/** Cells of tables looked at in one turn of the event loop by whatever frees objects in the background. */
export const SWEEP_CELLS = 2_000
/** Pause after each such turn in which expired objects are looked for: a tenth of the time at most goes into it. */
export const SWEEP_PAUSE_MS = 5

/**
 * What a request costs a node however little it moves, in bytes that the same time would move: at 1 GB/s, or some
 * 100,000 requests a second of a few bytes each.
 */
export const REQUEST_COST_BYTES = 8 * 1024
/** What a job that paused may catch up on: longer than the lateness of a timer on a busy loop. */
export const RATE_BURST_MS = 100
/** After one burst of borrowing others borrow again within this. */
export const RATE_DEBT_MS_MAX = 1_000
/**
 * A job is alone on a server when no other one did anything for this long: a client on a busy machine may stand still for
 * a part of it, and must not lose its share for that.
 */
export const CONTENTION_MS = 1_000
/** Pause before connections that are held are looked at again. */
export const RATE_TICK_MS = 1
/** Connections of one job that are read from again at a time: together they can overdraw by a read each. */
export const RATE_RESUMES_MAX = 8

/**
 * What one job may take of a server's event loop between two looks at the network, while another job is there: what arrives
 * for others waits no longer than this for each job that has something to do.
 */
export const TURN_MS = 2
/** The same for a job that is alone. One connection has a turn of `TURN_MS` all the same, so that timers and the planes are heard. */
export const TURNS_ALONE_MS = 10
/** A job pays for a turn that took longer by waiting, for no more than this: a machine that stood still is not its fault. */
export const TURNS_DEBT_MS_MAX = 100
/** Work between two looks at the clock, in requests for one key: a look takes some 0.1 µs, and such a request 5 to 10. */
export const TURN_LOOK_REQUESTS = 8
/** Of a node's CPU time, what jobs together may reserve. The rest is for heartbeats, handoffs and what moves between tiers. */
export const CPU_RESERVABLE_SHARE = 0.8

// Leases and heartbeats.

export const HEARTBEAT_MS = 1_000
/**
 * A node may serve the slots of a metadata server's jobs for this long after it sent a heartbeat that was answered:
 * longer than a restart of metadata, shorter than a function is willing to wait.
 */
export const NODE_LEASE_MS = 15_000
/** A heartbeat that is not answered by then is given up for the next one: five of them fit a lease. */
export const HEARTBEAT_CALL_MS = NODE_LEASE_MS / 5
/** Silence is death only this long after the lease: clocks of two machines differ by far less over 15 s. */
export const LEASE_MARGIN_MS = 1_500
/**
 * The controller ends a node that was silent for longer: by then metadata has given it up, so nothing is lost that
 * could be saved. Three heartbeats more than that takes.
 */
export const NODE_SILENCE_MS_MAX = NODE_LEASE_MS + LEASE_MARGIN_MS + 3 * HEARTBEAT_MS
/** Nodes declared dead that a metadata server remembers; a node hears of it with its first heartbeat. */
export const DEAD_NODES_KEPT_MAX = 10_000
/** Ended jobs that a metadata server remembers of those that came from another one: repetitions of that are seconds late. */
export const ENDED_TAKEN_JOBS_MAX = 10_000
/** More metadata servers than this one machine gains nothing from; each of them hears every node once a second. */
export const METADATA_SERVERS_MAX = 8
/** A job ends when nobody used or renewed it for this long, where its driver named nothing else. */
export const JOB_LEASE_SECONDS_DEFAULT = 600
export const JOB_LEASE_SECONDS_MIN = 1
export const JOB_LEASE_SECONDS_MAX = 7 * 86_400
/** The prefix of the keys that a ticket grants: with it a ticket stays well under 1 KiB beside its placement. */
export const TICKET_PREFIX_BYTES_MAX = 256
/** A ticket's token; a fresh one comes with every read of the job. */
export const TICKET_SECONDS = 24 * 3600

// Controller.

export const HTTP_BODY_BYTES_MAX = 64 * 1024
/** A request has to have arrived after this: its head and body are a few kilobytes. */
export const HTTP_REQUEST_MS_MAX = 30_000
/** How often it is looked for requests that have not arrived in time. */
export const HTTP_CHECK_MS = 1_000
/** Connections that wait to be accepted: with Node's 511 a burst of a thousand callers is met with resets. */
export const BACKLOG_MAX = 4_096
/** At a stop, answers under way get this long; each of them learns of the stop within `RETRY_MS_MAX`. */
export const HTTP_STOP_MS_MAX = 1_000
/** From the start of a node process to its first heartbeat; a cold start takes under a second on an idle machine. */
export const NODE_START_MS_MAX = 15_000
/** A process that was asked to stop is killed after this. */
export const PROCESS_STOP_MS_MAX = 5_000
/** Events kept for readers of `GET /v1/events` who reconnect. */
export const EVENTS_KEPT_MAX = 1_000
export const EVENT_STREAMS_MAX = 400
/** Of one API key: more than its dashboards and watchers are. */
export const EVENT_STREAMS_OF_KEY_MAX = 100
/** Ended jobs kept for `GET /v1/jobs/:id`. */
export const ENDED_JOBS_KEPT_MAX = 1_000
/** Living jobs: each lease check and each decision looks at all of them, and 10,000 take about a millisecond. */
export const JOBS_MAX = 10_000
/** Registrations that are waited for, in the queue or for nodes to start; the next is told to come again. */
export const REGISTRATIONS_UNDER_WAY_MAX = 4_000
/** Of one API key. */
export const REGISTRATIONS_OF_KEY_MAX = 1_000
/** A registration whose callers are all gone is undone after this: who repeats it after a broken connection does so at once. */
export const REGISTRATION_CLAIM_MS = 10_000
/** After this, in the `Retry-After` of a 429: a burst of registrations that fit is over by then. */
export const RETRY_AFTER_SECONDS = 1
/** Below the five minutes after which the fetch of Node gives up on an answer. */
export const REGISTRATION_WAIT_SECONDS_MAX = 240
/** API keys of one cluster: each request is compared with all of them. */
export const API_KEYS_MAX = 1_000
/** After a rotation the API key before may be taken for a week: until whoever has it was deployed anew. */
export const KEY_GRACE_SECONDS_MAX = 7 * 86_400
/** Earlier runs of a job name that count: before the third, a guess is no worse than what was seen. */
export const RUNS_LEARNED_MIN = 3
/** Runs kept of each job name: enough for the 95th percentile to leave one of them out. */
export const RUNS_KEPT_MAX = 20
/** Job names whose runs are kept: at some 150 bytes a run, 30 MB at most. */
export const JOB_NAMES_REMEMBERED_MAX = 10_000
/** Hints above these are mistakes: a hundred times the largest jobs of the literature. */
export const HINT_FUNCTIONS_MAX = 100_000
export const HINT_BYTES_MAX = 2 ** 50
export const HINT_BYTES_PER_SECOND_MAX = 10 ** 13
/** More often is no object read that dies with its job: of a parallel compile they are read some hundred times. */
export const HINT_READS_MAX = 1_000_000
/** No network answers within a microsecond, and whoever waits a minute has no latency to speak of. */
export const HINT_LATENCY_MS_MIN = 0.001
export const HINT_LATENCY_MS_MAX = 60_000
/** A heartbeat of a node with every living job on it: about 350 bytes of JSON for each that has RAM alone, and 700 where it has three tiers. */
export const REPORT_BYTES_MAX = 8 * 1024 * 1024
/** As long as the headers of the payment APIs that made `Idempotency-Key` known. */
export const IDEMPOTENCY_KEY_BYTES_MAX = 255
/** Nodes started in place of ones that exited before they reported, for one registration or repair. */
export const NODE_REPLACEMENTS_MAX = 2
/** Reports without any job, one after another, before a node that drains counts as empty: one may have been under way. */
export const DRAIN_EMPTY_REPORTS = 2
/**
 * Reports of a node in which a part of a job does not leave it, before the node keeps what it holds: at the rate of
 * background pulls 120 s move 30 GiB.
 */
export const RELOCATION_REPORTS_MAX = 120
/** Nodes that are tried beside those that are to be drained: each try packs all jobs of a node anew. */
export const SCALE_IN_TRIES_MAX = 8
/** Seconds before a job that may not grow is looked at again: room comes when another job ends. */
export const GROWTH_RETRY_ROUNDS = 30
/** Job names for which nodes are kept ready at once: each is packed anew at every look, on 1,000 nodes in 1 to 2 ms. */
export const EXPECTED_NAMES_MAX = 20
/** Seconds between two looks at which jobs are expected; their windows are minutes. */
export const EXPECTED_ROUNDS = 10
/** `mayfly drain` stops watching when a node has not got emptier for this long: four times what a node takes to start. */
export const DRAIN_STALL_MS_MAX = 60_000
/** A lost node stays in `GET /v1/nodes` this long, so that whoever looks after a fault still sees it. */
export const LOST_NODE_KEPT_MS = 10 * 60_000
export const LOST_NODES_KEPT_MAX = 100
/** After nodes failed to start, those that nobody waits for are tried again this late, doubled up to the maximum. */
export const NODE_START_RETRY_MS_MIN = 1_000
export const NODE_START_RETRY_MS_MAX = 60_000
/** A job's last use is written down this often, so a controller that restarts ends no job more than this too early. */
export const LAST_USE_WRITE_MS = 5_000
/** A comment on silent event streams, below the idle limits of common proxies (30 s and more). */
export const EVENT_STREAM_HEARTBEAT_MS = 15_000
/** A reader of events that lets this much pile up is cut off; it resumes where it stopped. */
export const EVENT_STREAM_BYTES_MAX = 1024 * 1024

// Supervisor.

/** A server process that died is started again this many times in a row; then the whole cluster stops with a clear line. */
export const SERVER_RESTARTS_MAX = 5
/** A server process that lived this long is sound: its next death counts as the first in a row. */
export const SERVER_STABLE_MS = 30_000
/** Pause before a server process is started again: doubled from `RETRY_MS_MIN` up to this. */
export const SERVER_RESTART_MS_MAX = 2_000
/** A config file of 100 node classes is 20 KiB; what is larger is another kind of file. */
export const CONFIG_BYTES_MAX = 1024 * 1024
export const NODE_CLASSES_MAX = 100
