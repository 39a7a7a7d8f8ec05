import type { Clock, Timer } from '../../protocol/runtime.ts'

/**
 * A registration and those who wait for its answer. Once all of them are gone and none came again within `graceMs`, nobody knows
 * of it, and it is given up: else it would hold its reservation until its lease lapses.
 */
export class Claim {
  readonly #clock: Clock
  readonly #graceMs: number
  readonly #gaveUp = new AbortController()
  #callers = 0
  #isClaimed = false
  #timer: Timer | null = null

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock
    this.#graceMs = graceMs
  }

  /** Aborted when it is given up. */
  get gaveUp(): AbortSignal {
    return this.#gaveUp.signal
  }

  /** Somebody waits until `signal` is aborted, or what is returned is called with whether the answer has been taken. */
  attach(signal: AbortSignal): (isAnswered: boolean) => void {
    this.#callers++
    this.#timer?.cancel()
    let isAttached = true
    const leave = (isAnswered: boolean): void => {
      if (!isAttached) return
      isAttached = false
      signal.removeEventListener('abort', onAbort)
      this.#callers--
      if (isAnswered) this.#isClaimed = true
      if (this.#callers > 0 || this.#isClaimed) return
      if (this.#graceMs === 0) this.#gaveUp.abort()
      else this.#timer = this.#clock.after(this.#graceMs, () => this.#gaveUp.abort())
    }
    const onAbort = (): void => leave(false)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) leave(false)
    return leave
  }
}
