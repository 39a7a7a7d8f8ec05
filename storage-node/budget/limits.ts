/** Bounds of what jobs have under way on a node: memory of its process that no object accounts for. */

/**
 * Of one job: requests that are parked, and answers that are read from elsewhere until they are sent. 64 answers of a chunk, or 20,000
 * parked gets.
 */
export const JOB_UNDER_WAY_BYTES_MAX = 64 * 1024 * 1024
/** Of all jobs of a node together: above it a job gets no more than `JOB_UNDER_WAY_BYTES_MIN`. */
export const NODE_UNDER_WAY_BYTES_MAX = 256 * 1024 * 1024
/** A job always gets as much, whatever others have under way: a few answers. */
export const JOB_UNDER_WAY_BYTES_MIN = 4 * 1024 * 1024
/** What may stay for minutes takes no more of it than this part: the rest is left to what is answered soon. */
export const UNDER_WAY_PARKED_SHARE = 3 / 4
/** What a parked get takes beside its key: its request, its promises, a timer, and its place among those that wait. Measured: 2.9 KB. */
export const WAIT_BYTES = 3_000
/** What several have asked for at a time is kept for those of them who come late: so long, and so many bytes on a node. */
export const SHARED_READ_RETAIN_MS = 1_000
export const SHARED_READ_RETAINED_BYTES_MAX = 32 * 1024 * 1024
