import type { Caller } from '../protocol/caller.ts'
import { dataOperations } from '../protocol/data-operations.ts'
import { REPEAT_MS_MAX, SETTLE_AFTER_MS } from '../protocol/limits.ts'
import type { Clock, Timer } from '../protocol/runtime.ts'

/** Names one mutation among those that this client sends to one node. */
export interface Sequence {
  readonly sequence: number
  /** This client has the answers of all mutations below. */
  readonly settled: number
}

/**
 * Counts the mutations that go to one node, so that one whose answer was lost can be repeated there and nowhere else.
 */
export class Sequencer {
  readonly #clock: Clock
  readonly #outstanding = new Set<number>()
  #next = 1
  /** The node keeps bytes for the case that an answer of this client's was lost. */
  #holding = false
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `holds`: the node keeps what it answers, a consumed object, until it is told that it came. */
  begin(holds: boolean): number {
    const sequence = this.#next++
    this.#outstanding.add(sequence)
    this.#holding ||= holds
    this.#timer?.cancel()
    this.#timer = null
    return sequence
  }

  /** What the node is told with each mutation. Sequences are taken in order, so the first one is the lowest. */
  get settled(): number {
    for (const sequence of this.#outstanding) return sequence
    return this.#next
  }

  /** The mutation has its answer, or nobody waits for it any more. */
  end(sequence: number, caller: Caller): void {
    this.#outstanding.delete(sequence)
    if (this.#outstanding.size > 0 || !this.#holding) return
    this.#timer ??= this.#clock.after(SETTLE_AFTER_MS, () => this.#settle(caller))
  }

  /** Nothing is outstanding: the node is told once, so that it frees what it kept for a repetition. */
  #settle(caller: Caller): void {
    this.#timer = null
    this.#holding = false
    if (caller.closed) return
    const deadlineMs = this.#clock.monotonicMs() + REPEAT_MS_MAX
    void caller.call(dataOperations.settle, { settled: this.settled }, { deadlineMs }).catch(() => undefined)
  }
}
