import { STREAM_CHUNKS_MAX } from '../../protocol/limits.ts'
import { abortedBy } from '../routing/deadline.ts'

/** The prefetched parts of one stream. */
export interface Window {
  /** Drops a prefetched chunk that the reader does not wait for; false if there is none. */
  shed(): boolean
}

/**
 * Shares the memory of chunks in flight and prefetched chunks among all streams of a job. Prefetching uses
 * what is free. A stream that needs a chunk to continue takes one in FIFO order; if none is free, the stream
 * with the longest pause drops a prefetched one, and reads it again if its reader continues.
 */
export class StreamWindows {
  #free = STREAM_CHUNKS_MAX
  readonly #waiting: (() => void)[] = []
  /** Windows with prefetched chunks, longest paused first. */
  readonly #windows = new Set<Window>()

  /** Takes room for a chunk if some is free. */
  tryTake(): boolean {
    if (this.#free === 0 || this.#waiting.length > 0) return false
    this.#free--
    return true
  }

  /** Takes room for a chunk in FIFO order. Rejects with `ABORTED`. */
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

  /** The reader of a window has taken a chunk: the window is the last to drop one now. */
  used(window: Window): void {
    this.#windows.delete(window)
    this.#windows.add(window)
  }

  drop(window: Window): void {
    this.#windows.delete(window)
  }

  /** Room was freed or can be reclaimed: serves waiting streams as far as it goes. */
  settle(): void {
    while (this.#waiting.length > 0 && (this.#free > 0 || this.#reclaim())) {
      if (this.#free === 0) continue
      this.#free--
      this.#waiting.shift()?.()
    }
  }

  /** The window returns the room of a dropped chunk. */
  #reclaim(): boolean {
    for (const window of this.#windows) if (window.shed()) return true
    return false
  }
}
