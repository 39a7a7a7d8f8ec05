import { FRAME_BYTES_PER_LOOK_MIN, LINK_SILENT_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'

/**
 * Whether a frame of which a part is missing comes on at a rate: a byte now and then is no progress, and what has come of it is held for
 * as long.
 */
export class FrameProgress {
  readonly #clock: Clock
  /** How many frames had come before the one that is looked at. */
  #frames = -1
  #bytes = 0
  #sinceMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Begins anew: it was not read from for a while. */
  forgive(): void {
    this.#frames = -1
  }

  /** So many bytes have come, behind `frames` whole ones, and the next one is not whole. False where it has been too slow. */
  isFastEnough({ frames, bytes }: { frames: number; bytes: number }): boolean {
    const nowMs = this.#clock.monotonicMs()
    this.#bytes += bytes
    if (frames === this.#frames && nowMs - this.#sinceMs < LINK_SILENT_MS) return true
    const isSlow = frames === this.#frames && this.#bytes < FRAME_BYTES_PER_LOOK_MIN
    this.#frames = frames
    this.#sinceMs = nowMs
    this.#bytes = 0
    return !isSlow
  }
}
