import { MayflyError } from '../../protocol/errors.ts'
import { LANES_MAX, REPEAT_MS_MAX, SETTLE_AFTER_MS } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Caller } from '../../protocol/transport/caller.ts'

/** Identifies a mutation among those of this client to one node. */
export interface Sequence {
  readonly lane: number
  readonly sequence: number
}

/**
 * Assigns lanes and sequences to the mutations for one node, so that one whose answer was lost can be
 * repeated there. Each concurrent mutation has its own lane, so that a long wait does not prevent the node
 * from forgetting other answers (the slots of NFSv4.1, RFC 8881, section 2.10.6).
 */
export class Lanes {
  readonly #clock: Clock
  /** The last sequence of each lane. */
  readonly #sequences: number[] = []
  /** Idle lanes, LIFO, so that no more lanes are used than needed. */
  readonly #free: number[] = []
  /** Idle lanes for which the node stores bytes in case their answer was lost. */
  readonly #held = new Set<number>()
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Takes a lane with a sequence above its last one: the current microsecond, so that clients restored from one
   * snapshot use different sequences. Throws `TOO_MANY_REQUESTS` if no lane is left.
   */
  begin(): number {
    const lane = this.#free.pop() ?? this.#open()
    const nowMicros = Math.floor(this.#clock.monotonicMs() * 1000)
    this.#sequences[lane] = Math.max(this.sequenceOf(lane) + 1, nowMicros)
    if (this.#held.size > 0) this.#held.delete(lane)
    return lane
  }

  sequenceOf(lane: number): number {
    return this.#sequences[lane] as number
  }

  /**
   * Releases the lane. `holder` is the connection to the node, if the node stores the answer, a consumed
   * object, until it is acknowledged.
   */
  end(lane: number, holder: Caller | null): void {
    this.#free.push(lane)
    if (holder === null) return
    this.#held.add(lane)
    this.#timer ??= this.#clock.after(SETTLE_AFTER_MS, () => this.#settle(holder))
  }

  #open(): number {
    const lane = this.#sequences.length
    if (lane === LANES_MAX) {
      throw new MayflyError('TOO_MANY_REQUESTS', `${LANES_MAX} mutations wait for the answers of one node`)
    }
    this.#sequences.push(0)
    return lane
  }

  /** Acknowledges answers that no later mutation has acknowledged, so that the node frees them. */
  #settle(holder: Caller): void {
    this.#timer = null
    const lanes = Array.from(this.#held, (lane) => ({ lane, sequence: this.sequenceOf(lane) }))
    this.#held.clear()
    if (lanes.length === 0 || holder.closed) return
    const deadlineMs = this.#clock.monotonicMs() + REPEAT_MS_MAX
    void holder.call(dataOperations.settle, { lanes }, { deadlineMs }).catch(() => undefined)
  }
}
