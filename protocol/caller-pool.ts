import { Caller } from './caller.ts'
import { MayflyError } from './errors.ts'
import { CONTROL_CALL_MS } from './limits.ts'
import type { Dial } from './link.ts'
import type { Clock } from './runtime.ts'

/** One connection for each address, opened when it is first needed and again when it broke. */
export class CallerPool {
  readonly #callers = new Map<string, Caller>()
  readonly #opening = new Map<string, Promise<Caller>>()
  readonly #options: { dial: Dial; clock: Clock; token: () => Uint8Array }
  #closed = false

  constructor(options: { dial: Dial; clock: Clock; token: () => Uint8Array }) {
    this.#options = options
  }

  /** The open connection to `address`, or one that is being opened. Rejects with `UNAVAILABLE`: nothing was sent. */
  to(address: string): Caller | Promise<Caller> {
    if (this.#closed) return Promise.reject(new MayflyError('CLOSED', 'The client was closed'))
    const caller = this.#callers.get(address)
    if (caller !== undefined && !caller.closed) return caller
    const opening = this.#opening.get(address) ?? this.#open(address)
    this.#opening.set(address, opening)
    return opening
  }

  /** Fails what is outstanding on every connection and closes them all. */
  close(): void {
    this.#closed = true
    for (const caller of this.#callers.values()) caller.close()
    this.#callers.clear()
  }

  async #open(address: string): Promise<Caller> {
    try {
      const { dial, clock, token } = this.#options
      const link = await dial(address)
      if (this.#closed) {
        link.destroy()
        throw new MayflyError('CLOSED', 'The client was closed')
      }
      const caller = new Caller(link, {
        clock,
        token: token(),
        deadlineMs: clock.monotonicMs() + CONTROL_CALL_MS,
      })
      this.#callers.set(address, caller)
      return caller
    } finally {
      this.#opening.delete(address)
    }
  }
}
