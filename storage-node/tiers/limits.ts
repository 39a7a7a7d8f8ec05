/** Bounds and rates of the tiers below RAM. */

/**
 * Watermarks of a job's reserved bytes on a tier: above the high one objects move to the next lower tier in
 * the background, until below the low one. A tenth of the RAM takes new puts while the SSD catches up.
 */
export const TIER_HIGH_WATERMARK = 0.9
export const TIER_LOW_WATERMARK = 0.8
/** Smaller objects stay in RAM: their entry in RAM would take as much as the object. */
export const DEMOTED_BYTES_MIN = 128
/**
 * Larger appended objects stay in RAM: copying and checksumming them would block the event loop for too long.
 */
export const DEMOTED_BYTES_MAX = 4 * 1024 * 1024
/** Objects and chunks sampled to choose victims: at most a sixteenth of them, 64. */
export const DEMOTION_SAMPLE = 1_024
/** Table cells scanned for a sample in one turn of the event loop: about 1 ms of work. */
export const DEMOTION_SCAN_CELLS = 2_000
/** Bytes of one job demoted at a time: four efficient writes. */
export const DEMOTION_BATCH_BYTES = 4 * 1024 * 1024
/** Pause after nothing could be demoted: the tiers below are full or unavailable. */
export const DEMOTION_PAUSE_MS = 20
/** Pause after a failed write to a tier, so that a full disk is not tried at every put. */
export const TIER_FAILURE_PAUSE_MS = 1_000
/** Pause before a failed compaction is retried: its disk is full or broken. */
export const COMPACTION_RETRY_MS = 10_000
/**
 * RAM usage, as a share of the reservation, above which a job asks for more: a fifth is what it puts while
 * the controller finds capacity.
 */
export const GROWTH_WATERMARK = 0.8
/**
 * Pause between two capacity requests: a grant takes as long, through the controller, metadata and SQLite.
 */
export const CAPACITY_ASK_MS = 50
/** How long a refused job asks for no more; its puts fail at once meanwhile. */
export const CAPACITY_LIMITED_MS = 1_000
/** How long a put without room waits for demotion or a larger budget. Then its client has to repeat it. */
export const CAPACITY_WAIT_MS = 2_000
/** Bytes read at a time from one place outside RAM by a node; further reads queue. */
export const TIER_READS_BYTES_MAX = 32 * 1024 * 1024
/**
 * Objects that one getMany reads from below RAM at a time: more than four disk threads or the sockets to S3
 * can use.
 */
export const TIER_MANY_IN_FLIGHT = 64
/** Bytes per checksum of a record: a range is verified alone. As long as a chunk. */
export const CHECKSUM_BLOCK_BYTES = 1024 * 1024
/**
 * Size of a segment of a job's log on SSD: a quarter of the job's bytes there, within these bounds. Small
 * enough that the waste of one file is small beside the job, large enough that a node with 100 GB has fewer
 * than 2,000 files open.
 */
export const SSD_SEGMENT_BYTES_MIN = 4 * 1024 * 1024
export const SSD_SEGMENT_BYTES_MAX = 64 * 1024 * 1024
/**
 * Records written together: larger batches gain nothing, and concurrent puts should not all wait for one
 * write.
 */
export const SSD_BATCH_BYTES = 256 * 1024
export const SSD_BATCH_RECORDS_MAX = 256
/** Concurrent writes of one job, on libuv's four threads: one is left for reads. */
export const SSD_WRITES_MAX = 3
/** Bytes of one job that wait for the disk. More are refused, so that a slow disk does not fill memory. */
export const SSD_QUEUE_BYTES_MAX = 64 * 1024 * 1024
/** Segments with a larger share of garbage are compacted: files take at most 1.5 times their live bytes. */
export const SSD_GARBAGE_SHARE_MAX = 1 / 3
/** Bytes per second that compaction reads and writes on a node: an eighth of a low-cost SSD. */
export const COMPACTION_BYTES_PER_SECOND = 64 * 1024 * 1024
/** Bytes per read of compaction: short compared with the latency of a client's read. */
export const COMPACTION_BATCH_BYTES = 256 * 1024

// S3.

/** Pause between two rounds of deletions. */
export const S3_DELETE_MS = 1_000
/** Keys queued for deletion: 100 bytes each. */
export const S3_DELETES_MAX = 100_000
/** Attempts to remove the prefix of an ended job: for about five minutes. */
export const S3_DROP_ATTEMPTS_MAX = 15
export const S3_DROP_RETRY_MS_MIN = 500
export const S3_DROP_RETRY_MS_MAX = 30_000
