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
  /** Which sequences from `#settled` on have no answer yet, by their lower bits. */
  #outstanding = new Uint8Array(64)
  #settled = 1
  #next = 1
  /** The node keeps bytes for the case that an answer of this client's was lost. */
  #holding = false
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `holds`: the node keeps what it answers, a consumed object, until it is told that it came. */
  begin(holds: boolean): number {
    if (this.#next - this.#settled === this.#outstanding.length) this.#grow()
    const sequence = this.#next++
    this.#outstanding[sequence & (this.#outstanding.length - 1)] = 1
    if (holds) this.#holding = true
    if (this.#timer !== null) {
      this.#timer.cancel()
      this.#timer = null
    }
    return sequence
  }

  /** What the node is told with each mutation: the answers of all below are here. */
  get settled(): number {
    return this.#settled
  }

  /** The mutation has its answer, or nobody waits for it any more. */
  end(sequence: number, caller: Caller): void {
    const outstanding = this.#outstanding
    const mask = outstanding.length - 1
    outstanding[sequence & mask] = 0
    while (this.#settled < this.#next && outstanding[this.#settled & mask] === 0) this.#settled++
    if (this.#settled < this.#next || !this.#holding) return
    this.#timer ??= this.#clock.after(SETTLE_AFTER_MS, () => this.#settle(caller))
  }

  #grow(): void {
    const before = this.#outstanding
    const after = new Uint8Array(2 * before.length)
    for (let sequence = this.#settled; sequence < this.#next; sequence++) {
      after[sequence & (after.length - 1)] = before[sequence & (before.length - 1)] as number
    }
    this.#outstanding = after
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
