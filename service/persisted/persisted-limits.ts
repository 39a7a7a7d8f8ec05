/** Bounds of the persistent store and its users. */

/** Chunks of a large object prefetched while it is persisted. */
export const PERSISTED_CHUNKS_AHEAD = 4
/**
 * Large objects that one node persists concurrently: about 50 MiB of memory each, for parts and prefetched
 * chunks.
 */
export const PERSISTED_LARGE_PUTS_MAX = 4
/**
 * Objects of one message, or of a deleted bucket, changed concurrently: several such messages fit the
 * sockets.
 */
export const PERSISTED_CHANGES_IN_FLIGHT = 16
/** Expired objects of a job removed concurrently; each takes two S3 requests. */
export const PERSISTED_SWEEPS_IN_FLIGHT = 32
/** Objects of a job looked up concurrently after a node death: their slots have no owner meanwhile. */
export const RECOVERIES_IN_FLIGHT = 64
/** Names of a job requested at once during recovery; S3 returns a thousand. */
export const RECOVERY_PAGE = 10_000
/**
 * Path of a persistent object: S3 keys have up to 1,024 bytes, of which prefixes and suffixes take up to 60.
 */
export const PERSISTED_NAME_BYTES_MAX = 960
/**
 * Parts of a path between slashes: file systems and MinIO allow 255, of which a stamp after the last one
 * takes up to 30.
 */
export const PERSISTED_SEGMENT_BYTES_MAX = 220
/** Prefix of a part that a cut path keeps; a SHA-256 of 64 digits follows. */
export const PERSISTED_CUT_BYTES_MAX = 100
/** A job's id or a bucket's name. */
export const PERSISTED_PART_BYTES_MAX = 100
/** Attempts of a write while other objects appear under its name. */
export const PERSISTED_PLACE_TRIES_MAX = 5
/** How long the outcome of a change is looked up when the store did not report it. */
export const PERSISTED_RESOLVE_MS_MAX = 5_000
/** Description of a persistent object, mostly user metadata. */
export const PERSISTED_ABOUT_BYTES_MAX = 16 * 1024
/**
 * Description stored with the object on S3, as text; a longer one is stored separately. S3 allows 2 KiB with
 * all names.
 */
export const PERSISTED_ABOUT_INLINE_MAX = 1_400
/** Incoming files older than this were left by a process that died. */
export const PERSISTED_INCOMING_MS_MAX = 24 * 3_600_000
/**
 * How long the store may fail to list a job's objects during recovery: their slots have no owner meanwhile.
 */
export const RECOVERY_SILENT_MS_MAX = 10_000
/** Entries in one page of a listing; on S3 each is looked up for its expiry. */
export const PERSISTED_LIST_MAX = 200
/** Prefix of `JOB/BUCKET/KEY` in a listing. */
export const PERSISTED_PREFIX_MAX = 1_300
/** Position of a listing: the store's token, and a path. */
export const PERSISTED_POSITION_MAX = 4_096
/** Bytes of an object that the controller reads at once. */
export const PERSISTED_READ_BYTES = 4 * 1024 * 1024
/** Pause between two sweeps of expired objects, which readers no longer see. */
export const PERSISTED_SWEEP_MS = 60_000
/** Objects in one page of a sweep. */
export const PERSISTED_SWEEP_PAGE = 200
