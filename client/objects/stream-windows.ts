import { STREAM_CHUNKS_MAX } from '../../protocol/limits.ts'
import { abortedBy } from '../routing/deadline.ts'

/** What one stream has read ahead of its reader. */
export interface Window {
  /** Drops a chunk that is here and that nobody waits for; false if there is none. */
  shed(): boolean
}

/**
 * Shares the memory of chunks that are under way, or read ahead, among all streams of a job. Reading ahead takes what is left over. Who
 * cannot go on without a chunk takes one in its turn; if none is left, the stream whose reader has rested longest gives up what it has read
 * ahead, and reads it again should its reader come back.
 */
export class StreamWindows {
  #free = STREAM_CHUNKS_MAX
  readonly #waiting: (() => void)[] = []
  /** Those that have read ahead, with the one first whose reader has rested longest. */
  readonly #windows = new Set<Window>()

  /** Takes room for a chunk if there is some that nobody waits for. */
  tryTake(): boolean {
    if (this.#free === 0 || this.#waiting.length > 0) return false
    this.#free--
    return true
  }

  /** Takes room for a chunk when it is the caller's turn. Rejects with `ABORTED`. */
  take(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortedBy(signal))
      const turn = (): void => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1)
        reject(abortedBy(signal))
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.push(turn)
      this.settle()
    })
  }

  give(): void {
    this.#free++
    this.settle()
  }

  /** The reader of a window has taken a chunk: it is the last now that has to give one up. */
  used(window: Window): void {
    this.#windows.delete(window)
    this.#windows.add(window)
  }

  drop(window: Window): void {
    this.#windows.delete(window)
  }

  /** Something has become free, or can be given up: those who wait go on as far as that reaches. */
  settle(): void {
    while (this.#waiting.length > 0 && (this.#free > 0 || this.#reclaim())) {
      if (this.#free === 0) continue
      this.#free--
      this.#waiting.shift()?.()
    }
  }

  /** What is shed is given back by its window. */
  #reclaim(): boolean {
    for (const window of this.#windows) if (window.shed()) return true
    return false
  }
}
