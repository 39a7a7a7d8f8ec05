import type { Clock } from '../../protocol/runtime.ts'
import { ChunkMemory } from '../../protocol/wire/chunk-memory.ts'
import { BODIES_WAIT_MS_MAX, BODIES_WAITING_MAX, FREE_CHUNKS_MAX } from '../limits.ts'
import { slowDown } from './s3-error.ts'

interface Waiting {
  readonly bytes: number
  readonly go: () => void
}

/** A weighted FIFO semaphore over the bytes of bodies that are in memory. */
export class BodyMemory {
  /** The buffers of bodies above 16 KiB. */
  readonly chunks = new ChunkMemory(FREE_CHUNKS_MAX)
  readonly #clock: Clock
  readonly #bytesMax: number
  readonly #waiting: Waiting[] = []
  #used = 0

  /** Bodies may have `bytesMax`. */
  constructor(clock: Clock, bytesMax: number) {
    this.#clock = clock
    this.#bytesMax = bytesMax
  }

  get usedBytes(): number {
    return this.#used
  }

  /** Resolves when there is room. Rejects with `SlowDown` if too many wait, or this takes too long. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#used + bytes <= this.#bytesMax) {
      this.#used += bytes
      return
    }
    if (this.#waiting.length >= BODIES_WAITING_MAX) throw slowDown('too many requests wait for memory')
    await new Promise<void>((resolve, reject) => {
      const waiting = {
        bytes,
        go: () => {
          timer.cancel()
          resolve()
        },
      }
      const timer = this.#clock.after(BODIES_WAIT_MS_MAX, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        reject(slowDown('there was no memory for its body in time'))
        this.#wake()
      })
      this.#waiting.push(waiting)
    })
  }

  /** Changes the charged amount without waiting: the bytes are in memory already. */
  change(from: number, to: number): void {
    this.#used += to - from
    this.#wake()
  }

  #wake(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#used + next.bytes > this.#bytesMax) return
      this.#waiting.shift()
      this.#used += next.bytes
      next.go()
    }
  }
}
