import type { Clock, Timer } from '../../protocol/runtime.ts'

/**
 * The callers that wait for a registration. Once all are gone and none has come back within `graceMs`, the registration is given up; it
 * would otherwise hold its reservation until its lease lapses.
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

  /** Aborted when the registration is given up. */
  get gaveUp(): AbortSignal {
    return this.#gaveUp.signal
  }

  /**
   * Registers a waiting caller until `signal` is aborted or the returned function is called; its argument says whether the answer was
   * delivered.
   */
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
