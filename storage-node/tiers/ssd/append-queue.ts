import { MayflyError } from '../../../protocol/errors.ts'
import { SSD_BATCH_BYTES, SSD_BATCH_RECORDS_MAX, SSD_QUEUE_BYTES_MAX } from '../limits.ts'
import type { Segment } from './segment.ts'

/** Where bytes have been written. */
export interface Written {
  readonly segment: Segment
  readonly offset: number
}

/** Bytes on their way to the log. Of the two, one is called, once. */
export interface Append {
  readonly bytes: Buffer
  readonly written: (at: Written) => void
  readonly failed: (error: Error) => void
}

/** What waits for the disk, in the order of its coming. */
export class AppendQueue {
  #appends: Append[] = []
  #from = 0
  #bytes = 0

  get empty(): boolean {
    return this.#from === this.#appends.length
  }

  /** Throws `UNAVAILABLE` where too much waits already. */
  push(append: Append): void {
    if (this.#bytes > SSD_QUEUE_BYTES_MAX)
      throw new MayflyError('UNAVAILABLE', `${this.#bytes} bytes of the job wait for the SSD tier`)
    this.#bytes += append.bytes.length
    this.#appends.push(append)
  }

  /** The next ones that leave together: at least one, and as many as make a good write. */
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

  /** The front of the list is cut off now and then, not at each batch: that would move all that waits. */
  #forgetTaken(): void {
    if (this.#from * 2 < this.#appends.length) return
    this.#appends = this.#appends.slice(this.#from)
    this.#from = 0
  }
}
