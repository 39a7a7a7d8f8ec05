import { RECEIPT_MS } from '../../protocol/limits.ts'
import { ping, receipt } from '../../protocol/operations/control-operations.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Outbox } from '../../protocol/transport/outbox.ts'

/** Of a frame that answers no request. */
const NO_ID = 0

interface PeerWatchOptions {
  readonly outbox: Outbox
  readonly clock: Clock
  /** Whether the peer has sent something that is not answered, and takes what it is sent. */
  readonly owesAnswer: () => boolean
  /** Whether it is not read from at present. */
  readonly isHeldBack: () => boolean
}

/**
 * Lets a peer know that this process is there, and finds out whether the peer is.
 *
 * The peer is told how much has come of what gets no answer at once: requests that wait, a frame of which a part is missing, and all
 * that a connection has sent that is not read from for a while. So a peer that hears nothing knows that the connection is of no
 * use, or that this process stands still. For a peer that is answered at once it costs two stores and a look at a timer for each read.
 */
export class PeerWatch {
  readonly #options: PeerWatchOptions
  /** Frames that have come so far. */
  frames = 0
  #timer: Timer | null = null
  /** The peer was asked whether it is there, and nothing has come since. */
  #isAsked = false
  /** Frames that were sent when it was asked last, and when it was asked and said so. */
  #sentWhenAsked = 0
  #sentWhenHeard = 0

  constructor(options: PeerWatchOptions) {
    this.#options = options
  }

  /** Something has come. */
  received(): void {
    this.#isAsked = false
    if (this.#timer === null) this.#sayLater()
  }

  /** Tells the peer how much has come. */
  sayWhatCame(): void {
    const head = { frames: this.frames }
    this.#options.outbox.send({ id: NO_ID, kind: receipt.number, codec: receipt.request, head })
  }

  /** The peer has said that it is there: it has all that was sent before it was asked. */
  hear(): void {
    this.#sentWhenHeard = this.#sentWhenAsked
  }

  /**
   * Nothing came or went for long. The peer is asked whether it is there, once after the last that it was sent; false where it was asked and
   * has not said so: its host may have vanished without a word.
   */
  isThere(): boolean {
    const { outbox } = this.#options
    if (this.#isAsked) return false
    if (outbox.sent === this.#sentWhenHeard) return true
    this.#isAsked = true
    outbox.send({ id: NO_ID, kind: ping.number, codec: ping.request, head: {} })
    outbox.flush()
    this.#sentWhenAsked = outbox.sent
    return true
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #sayLater(): void {
    this.#timer = this.#options.clock.after(RECEIPT_MS, () => this.#sayWhatIsDue())
  }

  #sayWhatIsDue(): void {
    this.#timer = null
    const { outbox, owesAnswer, isHeldBack } = this.#options
    if (owesAnswer()) {
      this.sayWhatCame()
      outbox.flush()
    }
    if (isHeldBack()) this.#sayLater()
  }
}
