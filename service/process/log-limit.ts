/** Burst of lines per message. */
export const LINES_BURST = 100
/** Lines per second per message after the burst. 5 lines of 300 bytes a second fill 16 MiB in three hours. */
export const LINES_PER_SECOND = 5
/**
 * Distinct messages tracked. Messages are constant texts; variable ones, such as error texts, must not fill
 * memory.
 */
const MESSAGES_MAX = 1_000

interface Bucket {
  lines: number
  atMs: number
  suppressed: number
}

/** Rate-limits each log message with its own token bucket, so that clients cannot fill the disk. */
export class LogLimit {
  readonly #nowMs: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** `nowMs` is monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Null if the line is dropped; otherwise the number of lines of its message dropped since the last one. */
  take(message: string): number | null {
    const bucket = this.#bucketOf(message)
    const now = this.#nowMs()
    bucket.lines = Math.min(LINES_BURST, bucket.lines + ((now - bucket.atMs) / 1000) * LINES_PER_SECOND)
    bucket.atMs = now
    if (bucket.lines < 1) {
      bucket.suppressed++
      return null
    }
    const { suppressed } = bucket
    bucket.lines--
    bucket.suppressed = 0
    return suppressed
  }

  #bucketOf(message: string): Bucket {
    let bucket = this.#buckets.get(message)
    if (bucket === undefined) {
      if (this.#buckets.size >= MESSAGES_MAX) this.#buckets.clear()
      bucket = { lines: LINES_BURST, atMs: this.#nowMs(), suppressed: 0 }
      this.#buckets.set(message, bucket)
    }
    return bucket
  }
}
