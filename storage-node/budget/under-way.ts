import { MayflyError } from '../../protocol/errors.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Peer } from '../../service/server/peer.ts'
import {
  JOB_UNDER_WAY_BYTES_MAX,
  JOB_UNDER_WAY_BYTES_MIN,
  NODE_UNDER_WAY_BYTES_MAX,
  UNDER_WAY_PARKED_SHARE,
} from './limits.ts'

/** Ends a booking. Idempotent. */
export type Release = () => void

/** Bytes that all jobs of a node have in progress. */
export class NodeUnderWay {
  bytes = 0
  /** Jobs with queued answers. */
  readonly waiting = new Set<UnderWay>()
}

/**
 * Process memory that one job has in progress on a node, in bytes. A job gets room while the node has some,
 * and a minimum in any case, so that no job can take all of it.
 */
export class UnderWay {
  readonly #node: NodeUnderWay
  readonly #waiting: { readonly bytes: number; readonly begin: () => void }[] = []
  #bytes = 0

  constructor(node: NodeUnderWay) {
    this.#node = node
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Books memory that may be held for minutes. Throws `UNAVAILABLE`, with nothing booked, if the job has too
   * much in progress.
   */
  park(bytes: number): Release {
    if (!this.#hasRoom(bytes, UNDER_WAY_PARKED_SHARE)) {
      throw new MayflyError(
        'UNAVAILABLE',
        `Calls of the job that wait have ${this.#bytes} bytes of the node's memory, which is as much as they may have`,
      )
    }
    return this.#book(bytes)
  }

  /**
   * Makes an answer that takes `bytes` until it is sent. Starts in FIFO order when the job has room; the peer
   * is not read from while it expects too many bytes. `make` must not wait for another answer of this kind.
   */
  async answer<Answer extends Reply<unknown> | null>(
    peer: Peer | null,
    bytes: number,
    make: () => Promise<Answer>,
  ): Promise<Answer> {
    const arrived = peer?.expects(bytes)
    try {
      const release = await this.#bookInTurn(bytes)
      try {
        const answer = await make()
        if (answer !== null) return { ...answer, sent: both(answer.sent, release) }
        release()
        return answer
      } catch (error) {
        release()
        throw error
      }
    } finally {
      // From here on the outbox counts it.
      arrived?.()
    }
  }

  async #bookInTurn(bytes: number): Promise<Release> {
    if (this.#waiting.length > 0 || !this.#hasRoom(bytes, 1)) {
      this.#node.waiting.add(this)
      await new Promise<void>((begin) => this.#waiting.push({ bytes, begin }))
      return this.#releaseOf(bytes)
    }
    return this.#book(bytes)
  }

  #book(bytes: number): Release {
    this.#bytes += bytes
    this.#node.bytes += bytes
    return this.#releaseOf(bytes)
  }

  #releaseOf(bytes: number): Release {
    let isBooked = true
    return () => {
      if (!isBooked) return
      isBooked = false
      this.#bytes -= bytes
      this.#node.bytes -= bytes
      if (this.#node.waiting.size > 0) for (const job of [...this.#node.waiting]) job.#beginNext()
    }
  }

  /** An answer larger than the job's limit runs alone. */
  #hasRoom(bytes: number, share: number): boolean {
    const own = this.#bytes + bytes
    if (this.#bytes === 0 || own <= JOB_UNDER_WAY_BYTES_MIN * share) return true
    return (
      own <= JOB_UNDER_WAY_BYTES_MAX * share && this.#node.bytes + bytes <= NODE_UNDER_WAY_BYTES_MAX * share
    )
  }

  #beginNext(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined) {
        this.#node.waiting.delete(this)
        return
      }
      if (!this.#hasRoom(next.bytes, 1)) return
      this.#waiting.shift()
      this.#bytes += next.bytes
      this.#node.bytes += next.bytes
      next.begin()
    }
  }
}

function both(first: Release | undefined, second: Release): Release {
  return () => {
    first?.()
    second()
  }
}
