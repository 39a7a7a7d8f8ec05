import { MayflyError } from '../../protocol/errors.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Peer } from '../../service/server/peer.ts'
import {
  JOB_UNDER_WAY_BYTES_MAX,
  JOB_UNDER_WAY_BYTES_MIN,
  NODE_UNDER_WAY_BYTES_MAX,
  UNDER_WAY_PARKED_SHARE,
} from './limits.ts'

/** Ends what was booked. Calling it again changes nothing. */
export type Release = () => void

/** What all jobs of a node have under way, in bytes. */
export class NodeUnderWay {
  bytes = 0
  /** Jobs of which something waits for room. */
  readonly waiting = new Set<UnderWay>()
}

/**
 * What one job has under way on a node, in bytes of memory that no object accounts for. A job gets room as long as the node has some,
 * and a little in any case, so that none can take all of it from another.
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

  /** Books what may stay for minutes. Throws `UNAVAILABLE`, with nothing booked, where the job has too much under way. */
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
   * Makes an answer that takes so many bytes until it is sent: it begins in its turn, when the job has room, and the peer is asked for
   * nothing more while it has enough of them. `make` must not wait for another answer of this kind.
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
      // From here on it counts as what waits to be taken.
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
      for (const job of [...this.#node.waiting]) job.#beginNext()
    }
  }

  /** What is larger than all that the job may have goes alone. */
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
