import { RESUME_MAX } from '../limits.ts'

/**
 * What a client remembers of its session at one address: the server's challenges that it has answered, and how many mutations it
 * has sent. The server knows the session by the last of these challenges that reached it. So a client goes on with its session also where
 * the answer to a hello was lost, and of two with one memory only the first that comes back does: the session is known by that
 * one's challenge from then on. One whose memory is older than the session has sent fewer mutations than the server has seen.
 */
export class SessionTrail {
  /** The last one that was confirmed, if any, and those after it. */
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
    // The one that was confirmed is most likely known; of those after it, the last.
    if (this.#answered.length === RESUME_MAX) this.#answered.splice(1, 1)
    this.#answered.push(nonce)
  }

  /** The server has answered that hello, and named the session. */
  confirmed(nonce: Uint8Array, session: string): void {
    this.#answered = [nonce]
    if (session !== this.#session) this.#mutations = 0
    this.#session = session
  }

  /** A mutation goes out in the session for the first time. */
  sends(session: string | null): void {
    if (session === this.#session) this.#mutations++
  }

  /** It did not go out. */
  withholds(session: string | null): void {
    if (session === this.#session) this.#mutations--
  }
}
