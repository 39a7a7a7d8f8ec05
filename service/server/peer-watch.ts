import { RECEIPT_MS } from '../../protocol/limits.ts'
import { ping, receipt } from '../../protocol/operations/control-operations.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Outbox } from '../../protocol/transport/outbox.ts'

/** The id of a frame that answers no request. */
const NO_ID = 0

interface PeerWatchOptions {
  readonly outbox: Outbox
  readonly clock: Clock
  /** Whether the peer has an unanswered request, and takes what it is sent. */
  readonly owesAnswer: () => boolean
  /** Whether the connection is paused. */
  readonly isHeldBack: () => boolean
}

/**
 * Acknowledges received frames to a peer, and checks that the peer is alive.
 *
 * Requests that wait, incomplete frames, and everything on a paused connection are acknowledged. So a peer
 * that receives nothing knows that the connection is dead, or that this process is suspended. A peer that is
 * answered at once costs two stores and a timer check per read.
 */
export class PeerWatch {
  readonly #options: PeerWatchOptions
  /** Frames received. */
  frames = 0
  #timer: Timer | null = null
  /** The peer was pinged, and nothing has arrived since. */
  #isAsked = false
  /** Frames sent at the last ping, and at the last answered ping. */
  #sentWhenAsked = 0
  #sentWhenHeard = 0

  constructor(options: PeerWatchOptions) {
    this.#options = options
  }

  /** Bytes have arrived. */
  received(): void {
    this.#isAsked = false
    if (this.#timer === null) this.#sayLater()
  }

  /** Acknowledges the frames received so far. */
  sayWhatCame(): void {
    const head = { frames: this.frames }
    this.#options.outbox.send({ id: NO_ID, kind: receipt.number, codec: receipt.request, head })
  }

  /** The peer has answered the ping: it has everything sent before. */
  hear(): void {
    this.#sentWhenHeard = this.#sentWhenAsked
  }

  /**
   * Nothing was sent or received for long. Pings the peer once after the last frame; false if an earlier ping
   * was not answered: its host may have vanished.
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
