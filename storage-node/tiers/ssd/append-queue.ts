import { MayflyError } from '../../../protocol/errors.ts'
import { SSD_BATCH_BYTES, SSD_BATCH_RECORDS_MAX, SSD_QUEUE_BYTES_MAX } from '../limits.ts'
import type { Segment } from './segment.ts'

/** Where bytes were written. */
export interface Written {
  readonly segment: Segment
  readonly offset: number
}

/** Bytes to append to the log. Exactly one of the two callbacks is called, once. */
export interface Append {
  readonly bytes: Buffer
  readonly written: (at: Written) => void
  readonly failed: (error: Error) => void
}

/** Appends that wait for the disk, FIFO. */
export class AppendQueue {
  #appends: Append[] = []
  #from = 0
  #bytes = 0

  get empty(): boolean {
    return this.#from === this.#appends.length
  }

  /** Throws `UNAVAILABLE` if too many bytes are queued. */
  push(append: Append): void {
    if (this.#bytes > SSD_QUEUE_BYTES_MAX)
      throw new MayflyError('UNAVAILABLE', `${this.#bytes} bytes of the job wait for the SSD tier`)
    this.#bytes += append.bytes.length
    this.#appends.push(append)
  }

  /** The next batch: at least one append, and as many as make an efficient write. */
  take(): Append[] {
    const batch: Append[] = []
    let bytes = 0
    for (;;) {
      const next = this.#appends[this.#from]
      if (next === undefined) break
      if (batch.length > 0 && bytes + next.bytes.length > SSD_BATCH_BYTES) break
      batch.push(next)
      bytes += next.bytes.length
      this.#from++
      if (batch.length === SSD_BATCH_RECORDS_MAX) break
    }
    this.#bytes -= bytes
    this.#forgetTaken()
    return batch
  }

  /**
   * Drops taken appends from the array only now and then: doing it for each batch would move all that are
   * queued.
   */
  #forgetTaken(): void {
    if (this.#from * 2 < this.#appends.length) return
    this.#appends = this.#appends.slice(this.#from)
    this.#from = 0
  }
}
