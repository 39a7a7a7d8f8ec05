/**
 * Bounds that several planes, or the SDK and a plane, share: what each limits, its unit, and why it has this
 * value. Bounds of one plane are in its own `limits.ts`.
 */

/**
 * Version of the wire protocol. A hello with another version is refused; a change of the wire's shape must
 * raise it.
 */
export const PROTOCOL_VERSION = 12

// Keys and names.

/** As in S3: long enough for any path, short enough to hash in well under a microsecond. */
export const KEY_BYTES_MAX = 1024
/** As S3's bucket names. */
export const BUCKET_NAME_BYTES_MAX = 63
/**
 * Existing buckets of a job. Each change writes all of their names and sends nodes their ids as runs; with
 * this many that takes a metadata server half a millisecond, and a message 8 KiB. Deleted buckets cost
 * nothing.
 */
export const BUCKETS_MAX = 1_000
/** Bucket ids are never reused. */
export const BUCKET_ID_MAX = 2 ** 32 - 1
/** How long a bucket's creation waits for the job's nodes to learn of it. */
export const BUCKET_TOLD_MS = 1_000
/** Random id of a call, the same for its repetitions. */
export const REQUEST_ID_BYTES = 16
/**
 * Creations and deletions of buckets that a metadata server remembers per job, by request id, to answer
 * repetitions. A client repeats for 30 s, in which these allow 34 a second.
 */
export const BUCKET_REQUESTS_RETAINED_MAX = 1_024
/** User metadata of an object: four times S3's 2 KiB, so that encoded S3 headers fit. */
export const METADATA_BYTES_MAX = 8 * 1024

// Objects and frames.

/** Larger objects travel in chunks of this size. */
export const CHUNK_BYTES = 1024 * 1024
/** 2^20 chunks of 1 MiB: 1 TiB. */
export const CHUNKS_MAX = 2 ** 20
/**
 * Runs of equal chunks in one manifest: 32 KiB in a reply, an index or a commit. Objects cut into chunks of
 * one length need two.
 */
export const MANIFEST_RUNS_MAX = 4_096
export const OBJECT_BYTES_MAX = CHUNK_BYTES * CHUNKS_MAX
/** `get` returns one Buffer; larger objects have to be read in ranges. Half of what Node 20 can allocate. */
export const GET_BYTES_MAX = 2 ** 31
/**
 * Bytes of a message's fields. The largest are a page of a listing and the placement of a job on 4,096 nodes.
 */
export const HEAD_BYTES_MAX = 1024 * 1024
/** The context of a request: an id of 64 characters and a traceparent of 55, with room for a longer form. */
export const CONTEXT_BYTES_MAX = 256
/** One chunk; larger payloads are split. */
export const PAYLOAD_BYTES_MAX = 1024 * 1024
/**
 * Up to this size, copying a payload behind its head costs less than another entry in a gathered write. Nodes
 * therefore store smaller payloads in records, which may move at any time, and larger ones in runs, which
 * stay until sent.
 */
export const PAYLOAD_COPIED_BYTES_MAX = 8 * 1024
/** Bytes of the hello: a token is under 200. */
export const HELLO_BYTES_MAX = 4 * 1024
export const HELLO_MS_MAX = 5_000
/**
 * Longest interval between two checks of a token's expiry: the wall clock may be set, and timers hold at most
 * 24 days.
 */
export const EXPIRY_CHECK_MS_MAX = 60_000
/** Error texts are cut to this, so that an error always fits its frame. */
export const ERROR_MESSAGE_BYTES_MAX = 1024

// Placement.

/** Enough that 100 nodes differ by less than 10 % in their share, few enough that a placement is 2 KiB. */
export const SLOTS_DEFAULT = 1024
export const SLOTS_MAX = 16_384
/** Nodes of one job. A slot's node is a u16 index; 65,535 means none. */
export const JOB_NODES_MAX = 4_096
/** A version is `epoch × 2^32 + counter` and must remain a safe integer: 53 - 32 = 21 bits of epoch. */
export const EPOCH_MAX = 2 ** 21 - 1
/** How long metadata holds a request for a newer placement before it answers with the current one. */
export const PLACEMENT_HOLD_MS = 1_000
/** Held requests of one job; further ones are answered at once. */
export const QUESTIONS_MAX = 10_000

// Handoff.

/** Slots of one move: they are frozen together, for about the time that their index takes to travel. */
export const MOVE_SLOTS_MAX = 16
/** Moves of one job that have not settled. */
export const MOVES_MAX = 4
/** Page size of a job's record that is transferred to another metadata server. */
export const RECORD_PAGE_BYTES = 256 * 1024
/** Pages of one record: on `JOB_NODES_MAX` nodes, with `SLOTS_MAX` slots and `BUCKETS_MAX` buckets, 3 MiB. */
export const RECORD_PAGES_MAX = 32
/** How long a node holds the request whether slots have settled. */
export const SETTLE_HOLD_MS = 500

// Calls and connections.

/** Default deadline of a call: longer than a node lease plus the repair after it. */
export const CALL_MS_DEFAULT = 30_000
export const CALL_MS_MAX = 15 * 60_000
/** Connecting takes milliseconds on the networks of functions; a lost SYN is resent at 1 s and 3 s. */
export const CONNECT_MS_MAX = 4_000
/**
 * How long the end of a job waits for nodes to free its bytes; an unresponsive node frees them with its next
 * heartbeat.
 */
export const JOB_DROP_MS = 2_000
/** Deadline of calls between planes: they wait for a SQLite write and a round trip, never for a user. */
export const CONTROL_CALL_MS = 5_000
/**
 * How long an aborted mutation waits for the server to say whether it is carried out: a round trip to a busy
 * server.
 */
export const CANCEL_ANSWER_MS = 1_000
/**
 * A mutation that waits at its server is cancelled so long before its deadline, so that the server says in time that
 * it has not been carried out.
 */
export const CANCEL_LEAD_MS = 100
/** Outstanding calls of one connection. Further ones are refused, so that a runaway loop fails early. */
export const CALLS_OUTSTANDING_MAX = 65_536
/** Concurrent chunks of one large object: 16 MiB fill a 10 Gb/s path of 12 ms. */
export const CHUNKS_IN_FLIGHT = 16
/** Chunks that a stream prefetches: a slow reader costs about 8 MiB. */
export const STREAM_WINDOW_CHUNKS = 8
/**
 * Chunks in flight or prefetched by all streams of a job in one client: 64 MiB, enough for eight streams at
 * full speed.
 */
export const STREAM_CHUNKS_MAX = 64
/** How long a stream's reader may pause before the read lease is no longer renewed: twice the lease. */
export const STREAM_REST_MS_MAX = 60_000
/**
 * How long the source of a putStream may pause, as long as any call may take. Then the put is given up and
 * its chunks are freed.
 */
export const SOURCE_REST_MS_MAX = 15 * 60_000
/**
 * Bytes of calls queued for one server, besides one call. Above it further calls wait unsent. As much as one
 * large object has in flight.
 */
export const CALLS_QUEUED_BYTES_MAX = CHUNKS_IN_FLIGHT * CHUNK_BYTES
/**
 * A peer that does not complete a frame, or does not take queued bytes, is disconnected after this time, at
 * the latest after twice that. As long as a node may be silent before its slots are reassigned.
 */
export const LINK_SILENT_MS = 15_000
/** A server that cannot answer yet acknowledges receipt within this time. */
export const RECEIPT_MS = 200
/**
 * Interval at which a connection with outstanding calls is checked: one timer, whatever the number of calls.
 */
export const LOOK_MS = 200
/**
 * Checks without a byte after a request, after which the connection counts as silent: 400 to 600 ms, which is
 * `RECEIPT_MS` and a slow round trip.
 */
export const SILENT_LOOKS = 3
/** Checks without a byte after which a peer that owes only parked answers is pinged: 5 s. */
export const PING_LOOKS = 25
/**
 * A check this late on the wall clock means that the process or its machine was suspended: the peer is pinged
 * at once.
 */
export const STANDSTILL_MS = 1_000
/**
 * After the server has answered on another connection, it has this long to answer on the silent one:
 * `RECEIPT_MS`, and as much again after a pause of the server.
 */
export const COMPARISON_MS = 300
/**
 * How long the other connection waits for an answer; doubled for each further one, because the server may be
 * suspended for a while.
 */
export const WITNESS_MS_MIN = 750
/** Connections of one server process. */
export const CONNECTIONS_MAX = 10_000
/** Job connections; the rest is for planes and for connections without a hello. */
export const CONNECTIONS_JOBS_MAX = 8_500
/** Connections without a hello: a burst of a thousand clients completes it within milliseconds. */
export const CONNECTIONS_GREETING_MAX = 1_000
/**
 * A job's connection without a request for so many checks, `LINK_SILENT_MS` apart, is closed: five minutes.
 */
export const IDLE_LOOKS_MAX = 20
/** Bytes of an incomplete frame that must arrive within `LINK_SILENT_MS`: 35 kbit/s. */
export const FRAME_BYTES_PER_LOOK_MIN = 64 * 1024
/** Bytes of one read from a socket, into memory that all connections of a process share. */
export const RECEIVE_BYTES = 256 * 1024
/**
 * Replies written while other requests of the same read are still being processed. If all were written at
 * once, client and server would take turns instead of using two cores.
 */
export const REPLIES_FIRST_PORTION = 8
/** Memory that the frames of one write are encoded into, with payloads of up to 8 KiB. */
export const SLAB_BYTES = 128 * 1024
/** Unused slabs that are retained; further ones are freed. */
export const SLABS_RETAINED_MAX = 64
/** Back-off after a refused attempt to reach a peer: doubled up to the maximum, with jitter. */
export const RETRY_MS_MIN = 20
export const RETRY_MS_MAX = 500
/**
 * Back-off after a failed background task: doubled up to the maximum, with jitter. It often needs a disk or
 * an endpoint that an operator has to repair.
 */
export const TASK_RETRY_MS_MIN = 50
export const TASK_RETRY_MS_MAX = 5_000
/** Failing jobs or nodes tracked per task. Failures beyond are counted, and logged each time. */
export const TASKS_FAILING_MAX = 10_000

// Storage nodes.

/**
 * Cost of an object besides payload, key and metadata: 24 bytes of its record's header, and 16 of the index
 * and unused page ends. Measured: 17 to 21 at 5 million objects of 100 bytes.
 */
export const ENTRY_OVERHEAD_BYTES = 40
/** Lease of a manifest's reader. */
export const READ_LEASE_MS = 30_000
/** Longest time that a get may wait for its key. */
export const WAIT_SECONDS_MAX = 900
/**
 * Keys of one getMany, statMany, waitMany, putMany or deleteMany message: with the longest keys they still fit its
 * head.
 */
export const MANY_KEYS_MAX = 1_000
/**
 * Larger values travel in messages of their own: they fill a write, and the node neither copies nor gathers
 * them.
 */
export const MANY_VALUE_BYTES_MAX = 64 * 1024
/** Concurrent messages of one getMany, statMany or putMany call: with full payloads, 8 MiB. */
export const MANY_IN_FLIGHT = 8
/** A random nonce of server or client. */
export const NONCE_BYTES = 16
/** Challenges in a hello: after so many unanswered hellos a client has to begin a new session. */
export const RESUME_MAX = 8
/**
 * Concurrent mutations of one client at one node, including parked ones. Each has a lane, a u16, of which the
 * node stores the last answer. Further ones are refused. Equal to the outstanding calls of a connection, so
 * that lanes never run out first.
 */
export const LANES_MAX = 65_536
/**
 * How long after the loss of its connection a client repeats a mutation, and a node stores a consumed object's bytes
 * for it.
 */
export const REPEAT_MS_MAX = 30_000
/** An idle client acknowledges its last mutations after this time, so that consumed bytes are freed. */
export const SETTLE_AFTER_MS = 20
/** Ten years: longer than any job, short enough that milliseconds stay exact. */
export const TTL_SECONDS_MAX = 10 * 365 * 86_400
/**
 * Entries in one page of a listing: a page of S3, and one more, which says that another page follows. Bytes bound
 * a page too: with the longest keys 1.1 MiB would not fit a head.
 */
export const LIST_PAGE_MAX = 1_001

/**
 * A job is alone on a server if no other was active for this long: a client on a busy machine may be
 * suspended for a part of it, and must not lose its share.
 */
export const CONTENTION_MS = 1_000

/** Longest turn of one connection, also of a job that is alone, so that timers and planes are served. */
export const TURN_MS = 2
/**
 * Event-loop time of one job between two polls of the network while another job is active. Requests wait at
 * most this long per active job. A smaller value splits a batch of calls that arrived in one read.
 */
export const TURNS_SHARED_MS = 0.2
/** The same for a job that is alone. */
export const TURNS_ALONE_MS = 10
/** Bound of the debt from a turn that took longer: the machine may have been suspended. */
export const TURNS_DEBT_MS_MAX = 100
/** Requests for one key between two looks at the clock: a look takes about 0.1 µs, such a request 5 to 10. */
export const TURN_LOOK_REQUESTS = 8

// Leases and heartbeats.

export const HEARTBEAT_MS = 1_000
/**
 * How long a node may serve the slots of a metadata server's jobs after sending an answered heartbeat: longer
 * than a restart of metadata, shorter than a function waits.
 */
export const NODE_LEASE_MS = 15_000
/** Added to the lease before silence counts as death: clocks of two machines differ by far less over 15 s. */
export const LEASE_MARGIN_MS = 1_500
/** Dead nodes that a metadata server remembers; such a node learns of it from its first heartbeat. */
export const DEAD_NODES_RETAINED_MAX = 10_000
/**
 * Ended jobs, received from another server, that a metadata server remembers: repetitions come within
 * seconds.
 */
export const ENDED_TAKEN_JOBS_MAX = 10_000
/**
 * More metadata servers than this gain nothing on one machine; each receives a heartbeat per node and second.
 */
export const METADATA_SERVERS_MAX = 8
export const JOB_LEASE_SECONDS_MIN = 1
export const JOB_LEASE_SECONDS_MAX = 7 * 86_400
/** As S3: how long a presigned URL can be valid. */
export const PRESIGNED_SECONDS_MAX = 7 * 86_400
/** Lifetime of a ticket's token; each read of the job returns a new one. */
export const TICKET_SECONDS = 24 * 3600

// Controller.

/**
 * Connections waiting to be accepted: with Node's default of 511 a burst of a thousand callers gets resets.
 */
export const BACKLOG_MAX = 4_096
/**
 * From the start of a node process to its first heartbeat; a cold start takes under a second on an idle
 * machine.
 */
export const NODE_START_MS_MAX = 15_000
/** A process that was asked to stop is killed after this time. */
export const PROCESS_STOP_MS_MAX = 5_000
/** Below the five minutes after which Node's fetch gives up. */
export const REGISTRATION_WAIT_SECONDS_MAX = 240
/** API keys of one cluster: each request is compared with all of them. */
export const API_KEYS_MAX = 1_000
/** After a rotation the previous API key may remain valid for a week, until its users are redeployed. */
export const KEY_GRACE_SECONDS_MAX = 7 * 86_400
/** Larger hints are mistakes: a hundred times the largest jobs of the literature. */
export const HINT_FUNCTIONS_MAX = 100_000
export const HINT_BYTES_MAX = 2 ** 50
export const HINT_BYTES_PER_SECOND_MAX = 10 ** 13
/** Ephemeral objects are not read more often: in a parallel compile some are read a few hundred times. */
export const HINT_READS_MAX = 1_000_000
/** No network answers within a microsecond, and after a minute latency does not matter. */
export const HINT_LATENCY_MS_MIN = 0.001
export const HINT_LATENCY_MS_MAX = 60_000
/**
 * `mayfly drain` gives up after a node has made no progress for this long: four times what a node takes to
 * start.
 */
export const DRAIN_STALL_MS_MAX = 60_000

// Supervisor.

/** A server process that lived this long is stable: its next exit counts as the first in a row. */
export const SERVER_STABLE_MS = 30_000
/**
 * Longest pause before a restart: doubled from `RETRY_MS_MIN`. A metadata server that comes back is heard by its nodes
 * before their leases lapse.
 */
export const SERVER_RESTART_MS_MAX = 5_000
/** A config with 100 node classes is 20 KiB; a larger file is something else. */
export const CONFIG_BYTES_MAX = 1024 * 1024
export const NODE_CLASSES_MAX = 100
