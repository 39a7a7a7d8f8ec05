/** Bounds and rates of the tiers below RAM. */

/**
 * Above this part of what a job reserved on a tier its objects begin to leave for the next one, in the background, until it is
 * below the other: a tenth of the RAM takes what is put while the SSD catches up.
 */
export const TIER_HIGH_WATERMARK = 0.9
export const TIER_LOW_WATERMARK = 0.8
/** Below this, what stays in RAM of an object on a lower tier is no less than the object. */
export const DEMOTED_BYTES_MIN = 128
/** What grew larger by append stays in RAM: copying it and its checksum would take longer than a turn of the loop may. */
export const DEMOTED_BYTES_MAX = 4 * 1024 * 1024
/** Objects and chunks that are looked at to find which of them leave: a sixteenth of them at most, so 64. */
export const DEMOTION_SAMPLE = 1_024
/** Cells of tables looked at for them in one turn of the event loop: about a millisecond of work. */
export const DEMOTION_SCAN_CELLS = 2_000
/** Bytes of one job that leave a tier at a time: four good writes. */
export const DEMOTION_BATCH_BYTES = 4 * 1024 * 1024
/** Pause after nothing could leave: the tiers below are full, or do not take anything. */
export const DEMOTION_PAUSE_MS = 20
/** Pause after a tier has failed to write: a full disk is not asked at every put. */
export const TIER_FAILURE_PAUSE_MS = 1_000
/** Pause before a segment that could not be compacted is taken on again: its disk is full or broken. */
export const COMPACTION_RETRY_MS = 10_000
/** From this part of its RAM on a job is said to fill up: a fifth is what it puts while the controller finds more. */
export const GROWTH_WATERMARK = 0.8
/** Pause between two questions whether jobs get more: a grant takes as long, by way of the controller, metadata and SQLite. */
export const CAPACITY_ASK_MS = 50
/** So long a job that gets no more is not asked for again: its puts fail at once meanwhile. */
export const CAPACITY_LIMITED_MS = 1_000
/** A put that finds no room waits this long for objects to leave or for a larger budget, then its client has to send it again. */
export const CAPACITY_WAIT_MS = 2_000
/** What is read from the tiers below RAM at a time, on all of a node: reads on top wait for their turn. */
export const TIER_READS_BYTES_MAX = 32 * 1024 * 1024
/** Objects that one getMany reads from below RAM at a time: more than four disk threads or the sockets to S3 can use. */
export const TIER_MANY_IN_FLIGHT = 64
/** A checksum for each so many bytes of a record: a part of an object is read and verified by itself. As long as a chunk. */
export const CHECKSUM_BLOCK_BYTES = 1024 * 1024
/**
 * A file of a job's log on SSD: a quarter of what the job keeps there, within these. Small enough that what one file wastes
 * is little beside the job, large enough that a node with 100 GB has fewer than 2,000 of them open.
 */
export const SSD_SEGMENT_BYTES_MIN = 4 * 1024 * 1024
export const SSD_SEGMENT_BYTES_MAX = 64 * 1024 * 1024
/** Records that leave in one write: a larger batch wins nothing any more, and what was put together should not all wait for one write. */
export const SSD_BATCH_BYTES = 256 * 1024
export const SSD_BATCH_RECORDS_MAX = 256
/** Writes of one job under way, on libuv's four threads: one is left for reads. */
export const SSD_WRITES_MAX = 3
/** Bytes of one job that wait for the disk; what comes on top is refused, so that a slow disk fills no memory. */
export const SSD_QUEUE_BYTES_MAX = 64 * 1024 * 1024
/** A segment of which more than this share is not wanted any more is compacted: files take at most 1.5 times what is in them. */
export const SSD_GARBAGE_SHARE_MAX = 1 / 3
/** What compaction reads and writes in a second, on all of a node: an eighth of a cheap SSD. */
export const COMPACTION_BYTES_PER_SECOND = 64 * 1024 * 1024
/** Read at once by compaction: short beside what a client's read may wait for. */
export const COMPACTION_BATCH_BYTES = 256 * 1024

// On S3.

/** Pause between two rounds of deletions. */
export const S3_DELETE_MS = 1_000
/** Keys that wait for their deletion: 100 bytes each. */
export const S3_DELETES_MAX = 100_000
/** When a job has ended, its prefix is tried to be removed this often: for about five minutes. */
export const S3_DROP_ATTEMPTS_MAX = 15
export const S3_DROP_RETRY_MS_MIN = 500
export const S3_DROP_RETRY_MS_MAX = 30_000
