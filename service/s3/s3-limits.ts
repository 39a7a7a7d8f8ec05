/** Bounds of calls to an S3-compatible store. */

/** Attempts of one request by the driver, with jitter: failures of a second go unnoticed. */
export const S3_ATTEMPTS_MAX = 3
/** Pause before a failed change is retried after a look at the stored object; doubled each time. */
export const S3_RETRY_MS = 100
/** Deadline of one request with all attempts: a part of 8 MiB takes that long at 3 Mbit/s. */
export const S3_CALL_MS_MAX = 30_000
/** Consecutive failures that open the circuit breaker, and how long it stays open. */
export const S3_FAILURES_MAX = 5
export const S3_OPEN_MS = 5_000
/** Connections of one process to the endpoint. */
export const S3_SOCKETS_MAX = 64
/** S3 accepts parts from 5 MiB, and 10,000 of them. */
export const S3_PART_BYTES = 8 * 1024 * 1024
export const S3_PARTS_MAX = 10_000
/** Concurrent parts of one upload, each in memory. */
export const S3_PARTS_IN_FLIGHT = 4
/** Keys of one bulk deletion: the maximum of S3, and of a page of a listing. */
export const S3_DELETE_BATCH = 1_000
/** The lifecycle rule removes demoted objects of this age; longer-lived objects should use `persist`. */
export const S3_EPHEMERAL_DAYS_MAX = 30
