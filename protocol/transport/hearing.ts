import { LOOK_MS, PING_LOOKS, SILENT_LOOKS, STANDSTILL_MS } from '../limits.ts'
import type { Clock, Timer } from '../runtime.ts'

interface HearingOptions {
  readonly clock: Clock
  /** Frames sent so far. */
  readonly sent: () => number
  /** Whether anybody waits for an answer. */
  readonly isAwaited: () => boolean
  /** Asks the server whether it is there. */
  readonly ask: () => void
  /** Told at each look while the server is silent. */
  readonly onSilent: () => void
}

/**
 * Whether what is sent over a connection still arrives, judged by looks at regular intervals while somebody waits: no frame asks a
 * clock. A server says within `RECEIPT_MS` how much has come of what it does not answer at once. So one that owes such a word and
 * says nothing for some looks is silent, and one that owes nothing is asked from time to time. A late answer is no such word: it
 * may come over a connection that brings nothing to the server any more.
 */
export class Hearing {
  readonly #options: HearingOptions
  /** Frames that the server is known to have. */
  #confirmed = 0
  /** Since the last byte came, or since the server owes its word. */
  #looks = 0
  /** Runs while somebody waits, and at most `LOOK_MS` longer. */
  #timer: Timer | null = null
  /** Of the last look, on the wall clock: the monotonic one may stand still with its machine. */
  #lookedMs = 0

  constructor(options: HearingOptions) {
    this.#options = options
  }

  /** True from the look that found it until a byte comes. */
  get isSilent(): boolean {
    return this.#isOwed && this.#looks >= SILENT_LOOKS
  }

  get #isOwed(): boolean {
    return this.#confirmed === 0 || this.#confirmed < this.#options.sent()
  }

  /** Frame `frame` of the connection is on its way, and somebody waits for its answer. */
  sent(frame: number): void {
    if (this.#confirmed === frame - 1) this.#looks = 0
    if (this.#timer === null) this.#lookLater()
  }

  /** Something has come. */
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
    // What came before a standstill of this process or its machine says nothing any more.
    const stoodStill = clock.wallMs() - this.#lookedMs > LOOK_MS + STANDSTILL_MS
    this.#looks++
    this.#lookLater()
    if (this.isSilent) onSilent()
    else if (!this.#isOwed && (stoodStill || this.#looks >= PING_LOOKS)) ask()
  }
}
