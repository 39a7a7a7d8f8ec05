/** Bounds of the memory that connections hold on a server. */

/**
 * Process memory that the connections of one job hold: incomplete frames, received bytes that wait for a turn,
 * and answers that wait for the network. Above half of it each connection may queue fewer answers; above it,
 * incomplete frames wait for room; above twice it, all requests of the job do.
 */
export const JOB_HELD_BYTES_MAX = 64 * 1024 * 1024
/** Of all jobs of a server. Above it each job has no more than `JOB_HELD_BYTES_MIN`. */
export const SERVER_HELD_BYTES_MAX = 256 * 1024 * 1024
/** Always granted to a job, whatever others hold: a few frames. */
export const JOB_HELD_BYTES_MIN = 4 * 1024 * 1024
/** Memory of an incomplete frame that is granted in any case: the head of a usual request. */
export const FRAME_HELD_BYTES_MIN = 4 * 1024
/**
 * Least size of a read of one connection. A job with many connections has smaller reads, so that one read of
 * each holds no more than `JOB_HELD_BYTES_MAX`.
 */
export const RECEIVE_BYTES_MIN = 8 * 1024
/**
 * Bytes of answers queued for one connection, besides one answer. Above it no further request is processed
 * until all are written.
 */
export const ANSWERS_QUEUED_BYTES_MAX = 4 * 1024 * 1024
/** The same while the job's connections hold half of `JOB_HELD_BYTES_MAX`. */
export const ANSWERS_QUEUED_BYTES_MAX_CROWDED = 128 * 1024
/**
 * The same while they hold all of it: the most that Node's sockets take without an event when they have room
 * again.
 */
export const ANSWERS_QUEUED_BYTES_MAX_FULL = 64 * 1024
/**
 * A peer with too many answers queued must take `ANSWERS_BYTES_PER_LOOK_MIN` within this time. Writes are
 * counted when they are complete: 4 MiB within this time are 280 kbit/s.
 */
export const READER_LOOK_MS = 120_000
export const ANSWERS_BYTES_PER_LOOK_MIN = 64 * 1024
