/** So many lines of one message may follow one another at once. */
const LINES_BURST = 100
/** After that, so many a second. A log that grows by 5 lines of 300 bytes a second takes three hours for 16 MiB. */
const LINES_PER_SECOND = 5
/** Messages are texts of the code; those that are not, such as the text of an error, must not fill memory. */
const MESSAGES_MAX = 1_000

interface Bucket {
  lines: number
  atMs: number
  suppressed: number
}

/** Bounds how often each message is logged, by a token bucket for each: nobody fills a disk by what he does to a server. */
export class LogLimit {
  readonly #nowMs: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** `nowMs` is monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Null where this line is left out; else how many of its message were left out since the last one. */
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
