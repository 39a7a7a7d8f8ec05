import { MayflyError } from '../../protocol/errors.ts'
import { LANES_MAX, REPEAT_MS_MAX, SETTLE_AFTER_MS } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Caller } from '../../protocol/transport/caller.ts'

/** Names one mutation among those that this client sends to one node. */
export interface Sequence {
  readonly lane: number
  readonly sequence: number
}

/**
 * Names the mutations that go to one node, so that one whose answer was lost can be repeated there and nowhere else. Each
 * that is under way has a lane of its own, so that one which waits for minutes keeps the node from forgetting no other
 * one's answer (the slots of NFSv4.1, RFC 8881, section 2.10.6).
 */
export class Lanes {
  readonly #clock: Clock
  /** The last of each lane. */
  readonly #sequences: number[] = []
  /** Lanes with nothing under way. The last one that became free is taken first, so that no more are used than needed. */
  readonly #free: number[] = []
  /** Those of them in which the node keeps bytes for the case that their answer was lost. */
  readonly #held = new Set<number>()
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Gives a mutation a lane, and a higher sequence than that lane's last one: the present microsecond, so that clients that were restored
   * from one snapshot give different sequences to what each of them begins. Throws `TOO_MANY_REQUESTS` if there is no lane left.
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
   * The mutation has its answer, or nobody waits for it any more. `holder` is the connection to the node, if that keeps what
   * it answers, a consumed object, until it hears that the answer came.
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

  /** The node is told what no later mutation has told it, so that it frees what it kept for a repetition. */
  #settle(holder: Caller): void {
    this.#timer = null
    const lanes = Array.from(this.#held, (lane) => ({ lane, sequence: this.sequenceOf(lane) }))
    this.#held.clear()
    if (lanes.length === 0 || holder.closed) return
    const deadlineMs = this.#clock.monotonicMs() + REPEAT_MS_MAX
    void holder.call(dataOperations.settle, { lanes }, { deadlineMs }).catch(() => undefined)
  }
}
