/** Bounds of the kept store and of those who use it. */

/** Chunks of a large object that are fetched ahead while it goes to the kept store. */
export const KEPT_CHUNKS_AHEAD = 4
/** Large objects on their way from one node at once: with parts under way and chunks ahead some 50 MiB of memory for each. */
export const KEPT_LARGE_PUTS_MAX = 4
/** Objects of one message, or of a bucket that is deleted, which are changed at once: several such messages fit the sockets. */
export const KEPT_CHANGES_IN_FLIGHT = 16
/** `JOB/BUCKET/KEY` of a kept object: S3 takes names of 1,024 bytes, and the longest prefix of ours has 28. */
export const KEPT_NAME_BYTES_MAX = 996
/** Of the parts of such a name between slashes: what file systems take as the name of a file. */
export const KEPT_SEGMENT_BYTES_MAX = 255
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
/** What the controller reads of a kept object at once, to hand it on. */
export const KEPT_READ_BYTES = 4 * 1024 * 1024
/** Pause between two rounds in which expired objects are freed; readers see none of them anyway. */
export const KEPT_SWEEP_MS = 60_000
/** Objects looked at together when expired ones are swept. */
export const KEPT_SWEEP_PAGE = 200
