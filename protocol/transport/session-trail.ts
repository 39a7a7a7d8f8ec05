import { RESUME_MAX } from '../limits.ts'

/**
 * A client's state of its session at one address: the server's challenges that it has answered, and the
 * number of mutations that it has sent. The server knows the session by the last of these challenges that
 * reached it. So a client resumes its session even if the answer to a hello was lost. Of two clients with the
 * same memory only the first to reconnect resumes it, because the session is then known by that client's
 * challenge. A client with an older memory has sent fewer mutations than the server has seen.
 */
export class SessionTrail {
  /** The last confirmed challenge, if any, and those after it. */
  #answered: Uint8Array[] = []
  #session: string | null = null
  #mutations = 0

  get answered(): readonly Uint8Array[] {
    return this.#answered
  }

  get mutations(): number {
    return this.#mutations
  }

  /** The hello that answers the challenge is about to be sent. */
  answers(nonce: Uint8Array): void {
    // Drops neither the confirmed challenge, which the server most likely knows, nor the last one.
    if (this.#answered.length === RESUME_MAX) this.#answered.splice(1, 1)
    this.#answered.push(nonce)
  }

  /** The server has answered that hello and named the session. */
  confirmed(nonce: Uint8Array, session: string): void {
    this.#answered = [nonce]
    if (session !== this.#session) this.#mutations = 0
    this.#session = session
  }

  /** A mutation is sent in the session for the first time. */
  sends(session: string | null): void {
    if (session === this.#session) this.#mutations++
  }

  /** It was not sent. */
  withholds(session: string | null): void {
    if (session === this.#session) this.#mutations--
  }
}
