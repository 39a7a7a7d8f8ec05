/** Bounds of what jobs have in progress on a node: process memory that no object accounts for. */

/**
 * Of one job: parked requests, and answers read from outside RAM until they are sent. 64 answers of a chunk,
 * or 20,000 parked gets.
 */
export const JOB_UNDER_WAY_BYTES_MAX = 64 * 1024 * 1024
/** Of all jobs of a node. Above it a job gets no more than `JOB_UNDER_WAY_BYTES_MIN`. */
export const NODE_UNDER_WAY_BYTES_MAX = 256 * 1024 * 1024
/** Always granted to a job, whatever others have in progress: a few answers. */
export const JOB_UNDER_WAY_BYTES_MIN = 4 * 1024 * 1024
/** The share of it that may be held for minutes; the rest serves short requests. */
export const UNDER_WAY_PARKED_SHARE = 3 / 4
/** A parked get without its key: request, promises, timer and queue entry. Measured: 2.9 KB. */
export const WAIT_BYTES = 3_000
/** Parked gets that are answered or failed in one step of the event loop: some 2 ms. */
export const WAITS_PER_STEP = 128
/** How long results of shared reads are retained for late callers, and how many bytes of them per node. */
export const SHARED_READ_RETAIN_MS = 1_000
export const SHARED_READ_RETAINED_BYTES_MAX = 32 * 1024 * 1024
/** Leases of one job on a node: large puts that were begun, and readers of large objects. About 10 MiB of entries. */
export const LEASES_MAX = 65_536
/** A job that has all of them is refused so long without counting again, which takes some milliseconds. */
export const LEASES_RECOUNT_MS = 1_000
