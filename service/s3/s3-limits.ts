/** Bounds of what goes to an S3-compatible store. */

/** Tries of one request, by the driver, with jitter: what fails for a second is not seen. */
export const S3_ATTEMPTS_MAX = 3
/** Pause before a change that failed is tried again by whoever has to see what became of it first; doubled each time. */
export const S3_RETRY_MS = 100
/** Of one request with all its tries: a part of 8 MiB takes that long at 3 Mbit/s. */
export const S3_CALL_MS_MAX = 30_000
/** Failures in a row after which the endpoint counts as down, and the time until it is asked again. */
export const S3_FAILURES_MAX = 5
export const S3_OPEN_MS = 5_000
/** Connections of one process to the endpoint. */
export const S3_SOCKETS_MAX = 64
/** S3 takes parts from 5 MiB, and 10,000 of them. */
export const S3_PART_BYTES = 8 * 1024 * 1024
export const S3_PARTS_MAX = 10_000
/** Parts of one upload under way, each in memory. */
export const S3_PARTS_IN_FLIGHT = 4
/** Keys of one bulk deletion: as many as S3 takes, and as one page of a listing has. */
export const S3_DELETE_BATCH = 1_000
/** The lifecycle rule removes what a job put down to S3 this long ago; a job that keeps an object longer should `persist` it. */
export const S3_EPHEMERAL_DAYS_MAX = 30
