import { assert } from '../../protocol/assert.ts'
import type { JobMemory } from './job-memory.ts'
import type { Part } from './record.ts'

/**
 * Retains arena memory while an answer refers to it: the socket holds the pin until all is written, and the
 * session as long as the answer may be repeated.
 */
export class Pin {
  readonly #memory: JobMemory
  readonly #runs: readonly Part[]
  #holders = 1

  constructor(memory: JobMemory, runs: readonly Part[]) {
    this.#memory = memory
    this.#runs = runs
    for (const run of runs) memory.pin(run)
  }

  /** False if the memory has already been released. */
  hold(): boolean {
    if (this.#holders === 0) return false
    this.#holders++
    return true
  }

  release(): void {
    assert(this.#holders > 0, 'a pin is released as often as it is held')
    if (--this.#holders > 0) return
    for (const run of this.#runs) this.#memory.unpin(run)
  }
}
