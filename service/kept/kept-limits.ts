/** Bounds of the kept store and of those who use it. */

/** Chunks of a large object that are fetched ahead while it goes to the kept store. */
export const KEPT_CHUNKS_AHEAD = 4
/** Large objects on their way from one node at once: with parts under way and chunks ahead some 50 MiB of memory for each. */
export const KEPT_LARGE_PUTS_MAX = 4
/** Objects of one message, or of a bucket that is deleted, which are changed at once: several such messages fit the sockets. */
export const KEPT_CHANGES_IN_FLIGHT = 16
/** Objects of a job whose time was over that are removed at once; each takes two requests of S3. */
export const KEPT_SWEEPS_IN_FLIGHT = 32
/** Objects of a job that are looked at together after a node has died: they have no owner meanwhile. */
export const KEPT_COMEBACKS_IN_FLIGHT = 64
/** Names of a job that are asked for at once then; S3 gives a thousand. */
export const KEPT_COMEBACK_PAGE = 10_000
/** The path of a kept object: S3 takes keys of 1,024 bytes, and what stands before and behind a path of ours has up to 60. */
export const KEPT_NAME_BYTES_MAX = 960
/** Of the parts of a path between slashes: file systems and MinIO take 255, of which a stamp behind the last one has up to 30. */
export const KEPT_SEGMENT_BYTES_MAX = 220
/** What a path that is cut keeps of the part where it is cut; a SHA-256 of 64 digits follows. */
export const KEPT_CUT_BYTES_MAX = 100
/** Of a job's id and of a bucket's name. */
export const KEPT_PART_BYTES_MAX = 100
/** How often a write begins anew because something else came to lie under its name meanwhile. */
export const KEPT_PLACE_TRIES_MAX = 5
/** How long the store is asked what became of a change whose outcome it did not say. */
export const KEPT_RESOLVE_MS_MAX = 5_000
/** What is said about a kept object: the metadata of its user, with the lengths of its texts, is the most of it. */
export const KEPT_ABOUT_BYTES_MAX = 16 * 1024
/** As much of it goes along with an object on S3, as text; what is longer lies beside it. S3 takes 2 KiB with all names. */
export const KEPT_ABOUT_INLINE_MAX = 1_400
/** A file that has been coming in for longer than this was left by a process that died. */
export const KEPT_INCOMING_MS_MAX = 24 * 3_600_000
/** How long the store may fail to say what is kept of a job of which a node has died: its slots have no owner meanwhile. */
export const KEPT_SILENT_MS_MAX = 10_000
/** Entries of one page of a listing of kept objects; on S3 each is asked for its time to live. */
export const KEPT_LIST_MAX = 200
/** Of `JOB/BUCKET/KEY`, of which a listing may be asked for all that begin with a text. */
export const KEPT_PREFIX_MAX = 1_300
/** Of what says where a page of a listing has ended: the store's own word for it, and a path. */
export const KEPT_POSITION_MAX = 4_096
/** What the controller reads of a kept object at once, to hand it on. */
export const KEPT_READ_BYTES = 4 * 1024 * 1024
/** Pause between two rounds in which expired objects are freed; readers see none of them anyway. */
export const KEPT_SWEEP_MS = 60_000
/** Objects looked at together when expired ones are swept. */
export const KEPT_SWEEP_PAGE = 200
