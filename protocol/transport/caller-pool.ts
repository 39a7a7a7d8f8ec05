import { isError, MayflyError } from '../errors.ts'
import { COMPARISON_MS, CONTROL_CALL_MS, RETRY_MS_MIN, WITNESS_MS_MIN } from '../limits.ts'
import { ping } from '../operations/control-operations.ts'
import { type Runtime, sleep } from '../runtime.ts'
import { Caller } from './caller.ts'
import type { Dial } from './link.ts'
import { SessionTrail } from './session-trail.ts'

interface CallerPoolOptions {
  readonly dial: Dial
  readonly runtime: Runtime
  readonly token: () => Uint8Array
}

/**
 * One connection per address, opened on first use and reopened after a failure. A silent connection is closed
 * once it is known that its server is reachable: after a suspension of the process, or in a gateway that
 * dropped its state, a connection may look open and carry nothing.
 */
export class CallerPool {
  readonly #callers = new Map<string, Caller>()
  readonly #opening = new Map<string, Promise<Caller>>()
  /** Silent connections being checked. */
  readonly #doubted = new Set<Caller>()
  /** Connections over which servers of silent ones are checked. */
  readonly #witnesses = new Set<Caller>()
  readonly #trails = new Map<string, SessionTrail>()
  readonly #options: CallerPoolOptions
  #closed = false

  constructor(options: CallerPoolOptions) {
    this.#options = options
  }

  /** The open connection to `address`, or one being opened. Rejects with `UNAVAILABLE`: nothing was sent. */
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

  /**
   * Continues every open connection with the current token; running calls are not disturbed. Rejects if a
   * server refuses it.
   */
  async renew(): Promise<void> {
    const open = [...this.#callers.values()].filter(({ closed }) => !closed)
    await Promise.all(
      open.map((caller) =>
        caller.renew(this.#options.token()).catch((error: unknown) => {
          // The next connection there uses this token anyway.
          if (!isError(error, 'CONNECTION_LOST')) throw error
        }),
      ),
    )
  }

  /** Fails all outstanding calls and closes all connections. */
  close(): void {
    this.#closed = true
    for (const caller of [...this.#callers.values(), ...this.#witnesses]) caller.close()
    this.#callers.clear()
  }

  async #open(address: string): Promise<Caller> {
    try {
      const caller = await this.#connect(address, CONTROL_CALL_MS, this.#trail(address))
      this.#callers.set(address, caller)
      return caller
    } finally {
      this.#opening.delete(address)
    }
  }

  async #connect(address: string, answerMs: number, trail: SessionTrail): Promise<Caller> {
    const { dial, runtime, token } = this.#options
    const link = await dial(address)
    if (this.#closed) {
      link.destroy()
      throw new MayflyError('CLOSED', 'The client was closed')
    }
    const caller: Caller = new Caller(link, {
      runtime,
      token: token(),
      trail,
      deadlineMs: runtime.clock.monotonicMs() + answerMs,
      onSilent: () => {
        if (this.#callers.get(address) === caller) void this.#doubt(address, caller)
      },
    })
    return caller
  }

  /**
   * Checks the server over another connection until the silent one receives bytes or is closed. A server with
   * a busy event loop answers on neither, and keeps its calls. If it answers only on the other one, or cannot
   * be connected to, the silent connection is dead.
   */
  async #doubt(address: string, silent: Caller): Promise<void> {
    if (this.#doubted.has(silent)) return
    this.#doubted.add(silent)
    const isOpen = (): boolean => silent.isSilent && !silent.closed
    for (let answerMs = WITNESS_MS_MIN; isOpen(); answerMs = Math.min(2 * answerMs, CONTROL_CALL_MS)) {
      silent.ask()
      const isBusy = await this.#isBusy(address, { silent, answerMs })
      if (isBusy) await sleep(this.#options.runtime.clock, RETRY_MS_MIN)
      else if (isOpen())
        silent.close(new MayflyError('CONNECTION_LOST', 'Nothing came over the connection any more'))
    }
    this.#doubted.delete(silent)
  }

  /**
   * False once the server has answered on another connection and had time to answer on the silent one, or
   * cannot be reached. That connection uses a new session, because resuming the session would close the
   * silent one.
   */
  async #isBusy(
    address: string,
    { silent, answerMs }: { silent: Caller; answerMs: number },
  ): Promise<boolean> {
    const { clock } = this.#options.runtime
    let witness: Caller | null = null
    try {
      witness = await this.#connect(address, answerMs, new SessionTrail())
      this.#witnesses.add(witness)
      await witness.server
      await sleep(clock, COMPARISON_MS)
      // After this answer, a server that was suspended meanwhile has read its input again.
      if (silent.isSilent) await witness.call(ping, {}, { deadlineMs: clock.monotonicMs() + answerMs })
      return false
    } catch (error) {
      return isError(error, 'CONNECTION_LOST', 'DEADLINE_EXCEEDED')
    } finally {
      witness?.close()
      if (witness !== null) this.#witnesses.delete(witness)
    }
  }

  #trail(address: string): SessionTrail {
    let trail = this.#trails.get(address)
    if (trail === undefined) {
      trail = new SessionTrail()
      this.#trails.set(address, trail)
    }
    return trail
  }
}
