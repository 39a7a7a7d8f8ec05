import { Caller } from './caller.ts'
import { MayflyError } from './errors.ts'
import { CONTROL_CALL_MS } from './limits.ts'
import type { Dial } from './link.ts'
import type { Clock } from './runtime.ts'

const NO_SESSION = new Uint8Array(0)

interface CallerPoolOptions {
  readonly dial: Dial
  readonly clock: Clock
  readonly token: () => Uint8Array
  /** Names the client over all its connections; without one, nothing is repeated. */
  readonly session?: Uint8Array
}

/** One connection for each address, opened when it is first needed and again when it broke. */
export class CallerPool {
  readonly #callers = new Map<string, Caller>()
  readonly #opening = new Map<string, Promise<Caller>>()
  readonly #options: CallerPoolOptions
  #closed = false

  constructor(options: CallerPoolOptions) {
    this.#options = options
  }

  /** The open connection to `address`, or one that is being opened. Rejects with `UNAVAILABLE`: nothing was sent. */
  to(address: string): Caller | Promise<Caller> {
    if (this.#closed) return Promise.reject(new MayflyError('CLOSED', 'The client was closed'))
    const caller = this.openTo(address)
    if (caller !== null) return caller
    const opening = this.#opening.get(address) ?? this.#open(address)
    this.#opening.set(address, opening)
    return opening
  }

  /** The open connection to `address`, or null. */
  openTo(address: string): Caller | null {
    const caller = this.#callers.get(address)
    return caller === undefined || caller.closed ? null : caller
  }

  /** Fails what is outstanding on every connection and closes them all. */
  close(): void {
    this.#closed = true
    for (const caller of this.#callers.values()) caller.close()
    this.#callers.clear()
  }

  async #open(address: string): Promise<Caller> {
    try {
      const { dial, clock, token, session = NO_SESSION } = this.#options
      const link = await dial(address)
      if (this.#closed) {
        link.destroy()
        throw new MayflyError('CLOSED', 'The client was closed')
      }
      const caller = new Caller(link, {
        clock,
        token: token(),
        session,
        deadlineMs: clock.monotonicMs() + CONTROL_CALL_MS,
      })
      this.#callers.set(address, caller)
      return caller
    } finally {
      this.#opening.delete(address)
    }
  }
}
