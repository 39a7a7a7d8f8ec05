import { LOOK_MS, PING_LOOKS, SILENT_LOOKS, STANDSTILL_MS } from '../limits.ts'
import type { Clock, Timer } from '../runtime.ts'

interface HearingOptions {
  readonly clock: Clock
  /** Frames sent. */
  readonly sent: () => number
  /** Whether any call waits for an answer. */
  readonly isAwaited: () => boolean
  /** Pings the server. */
  readonly ask: () => void
  /** Called at each check while the server is silent. */
  readonly onSilent: () => void
}

/**
 * Detects whether a connection still delivers, with checks at regular intervals while calls wait; no frame
 * reads a clock. A server acknowledges within `RECEIPT_MS` the frames that it does not answer at once. So a
 * server that owes an acknowledgement and sends nothing for some checks is silent; one that owes none is
 * pinged from time to time. A late answer is no acknowledgement: the connection may no longer deliver in the
 * other direction.
 */
export class Hearing {
  readonly #options: HearingOptions
  /** Frames that the server has acknowledged. */
  #confirmed = 0
  /** Checks since the last byte, or since an acknowledgement is due. */
  #looks = 0
  /** Runs while calls wait, and at most `LOOK_MS` longer. */
  #timer: Timer | null = null
  /** Wall-clock time of the last check: the monotonic clock may stop with its machine. */
  #lookedMs = 0

  constructor(options: HearingOptions) {
    this.#options = options
  }

  /** Set by a check, cleared by the next byte. */
  get isSilent(): boolean {
    return this.#isOwed && this.#looks >= SILENT_LOOKS
  }

  get #isOwed(): boolean {
    return this.#confirmed === 0 || this.#confirmed < this.#options.sent()
  }

  /** Frame `frame` was sent, and a call waits for its answer. */
  sent(frame: number): void {
    if (this.#confirmed === frame - 1) this.#looks = 0
    if (this.#timer === null) this.#lookLater()
  }

  /** Bytes have arrived. */
  heard(): void {
    this.#looks = 0
  }

  /** The server has all frames up to this one. */
  confirm(frame: number): void {
    if (frame > this.#confirmed) this.#confirmed = frame
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #lookLater(): void {
    const { clock } = this.#options
    this.#lookedMs = clock.wallMs()
    this.#timer = clock.after(LOOK_MS, () => this.#look())
    this.#timer.unref()
  }

  #look(): void {
    this.#timer = null
    const { clock, isAwaited, ask, onSilent } = this.#options
    if (!isAwaited()) return
    // Observations from before a suspension of this process or its machine are void.
    const stoodStill = clock.wallMs() - this.#lookedMs > LOOK_MS + STANDSTILL_MS
    this.#looks++
    this.#lookLater()
    if (this.isSilent) onSilent()
    else if (!this.#isOwed && (stoodStill || this.#looks >= PING_LOOKS)) ask()
  }
}
