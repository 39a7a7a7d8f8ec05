/** Bounds of the gateway: what each limits, its unit, and why it has this value. */

import { CONNECTIONS_MAX } from '../protocol/limits.ts'

/** As S3: the largest object of one put or copy, and the largest part. */
export const PUT_BYTES_MAX = 5 * 2 ** 30
/** As S3: every part but the last has at least so many bytes. */
export const PART_BYTES_MIN = 5 * 2 ** 20
/** As S3. */
export const PARTS_MAX = 10_000
/** As S3: keys of one page, of one DeleteObjects, parts or uploads of one page. */
export const PAGE_MAX = 1_000
/** As S3: names and values of the user's metadata. */
export const USER_METADATA_BYTES_MAX = 2 * 1024
/** As S3: a body of XML, which is a list of 10,000 parts at most. A part takes 100 bytes, with checksums 300. */
export const XML_BYTES_MAX = 4 * 1024 * 1024
/** Elements of XML inside one another; the deepest document of S3 has five. */
export const XML_DEPTH_MAX = 16
/** As S3: a chunk's header is its length and a signature, 100 bytes; a trailer is a checksum. */
export const CHUNK_HEADER_BYTES_MAX = 4 * 1024
/** As S3: how far a client's clock may be off. */
export const CLOCK_SKEW_MS_MAX = 15 * 60_000

/** Headers of one request; Node's default, twice what S3 accepts. */
export const HEADERS_BYTES_MAX = 16 * 1024
/** Time for the headers of a request. */
export const HEADERS_MS_MAX = 10_000
/** A connection without a request is closed after this time: longer than the pools of SDKs hold theirs. */
export const IDLE_MS_MAX = 120_000
/** Processes of a gateway: as many as cores, but no more than this if nothing else is set. */
export const PROCESSES_DEFAULT_MAX = 4
export const PROCESSES_MAX = 64
/** Connections of one process. When they are used up, those without a request are closed. */
export const GATEWAY_CONNECTIONS_MAX = CONNECTIONS_MAX + 2_000
/** Bytes of a body, in either direction, that have to pass in `BODY_LOOK_MS`: 35 kbit/s, as the wire has it. */
export const BODY_BYTES_PER_LOOK_MIN = 64 * 1024
export const BODY_LOOK_MS = 15_000
/**
 * Bytes of bodies in memory, of all requests of a gateway; its processes have equal parts. A small body counts in full and a stream as `STREAM_BYTES`; further
 * requests wait. With it, 10,000 clients that each send 1 MiB cost no more than 512.
 */
export const BODIES_BYTES_MAX = 512 * 1024 * 1024
/** What a stream holds besides the chunks that the SDK has in flight, or prefetches, for all streams of a job: 64 MiB. */
export const STREAM_BYTES = 2 * 1024 * 1024
/** Chunks of memory that a process keeps for the next bodies. */
export const FREE_CHUNKS_MAX = 32
/** Requests that wait for memory; more are answered with SlowDown. */
export const BODIES_WAITING_MAX = 10_000
/** How long a request waits for memory. */
export const BODIES_WAIT_MS_MAX = 10_000
/** Bytes of a refused request's body that are read, so that the client gets the answer instead of a reset. */
export const REFUSED_BODY_BYTES_MAX = 1024 * 1024
export const REFUSED_BODY_MS_MAX = 2_000

/** Access keys whose job is open. The one that was used longest ago is closed. */
export const OPEN_JOBS_MAX = 1_000
/** A job without a request is closed after this time. */
export const OPEN_JOB_IDLE_MS = 10 * 60_000
/** Signing keys that are remembered: each costs four HMACs, and serves one day. */
export const SIGNING_KEYS_MAX = 1_000
/** Lifetime of a ticket of the gateway; renewed at half of it. */
export const TICKET_SECONDS = 3_600
/** How long the end of a job that the controller has reported is remembered. */
export const ENDED_JOB_MS = 60_000

/** Calls of the SDK that one request has under way, where it makes one for each key. */
export const CALLS_IN_FLIGHT = 256
/** Uploads of one bucket that a listing of uploads sorts. */
export const UPLOADS_LISTED_MAX = 10_000
/** An upload that was neither completed nor aborted is removed after this time. */
export const UPLOAD_SECONDS_MAX = 7 * 86_400
/** A completed upload is remembered, so that a repeated request gets the same answer. */
export const COMPLETED_SECONDS = 600
/** A completion whose gateway died between its claim and its end is repeated after this time: twice a call's deadline. */
export const CLAIM_MS_MAX = 60_000
/** Interval at which a completion that waits for another one looks again. */
export const CLAIM_LOOK_MS = 100
/** A completion that takes longer sends white space at this interval, as S3 does, so that its client waits. */
export const COMPLETE_SPACE_MS = 5_000
