import { FRAME_BYTES_PER_LOOK_MIN, LINK_SILENT_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'

/**
 * Whether an incomplete frame arrives at a minimum rate: its received part holds memory until it is complete.
 */
export class FrameProgress {
  readonly #clock: Clock
  /** Number of frames before the one being watched. */
  #frames = -1
  #bytes = 0
  #sinceMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The connection was paused for `ms`, in which nothing could arrive. */
  excuse(ms: number): void {
    this.#sinceMs += ms
  }

  /** Records `bytes` after `frames` whole frames, with the next one incomplete. False if it was too slow. */
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
