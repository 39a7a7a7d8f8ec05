import { MayflyError } from '../../protocol/errors.ts'
import type { Claims } from '../../protocol/model/token.ts'

/** The remote end of a connection. */
export interface Peer {
  readonly claims: Claims
  /** The state of the client's mutations in `ClientSessions`, across its connections. */
  session: object | null
  /** Names the session; without one, the connection. */
  readonly sessionName: string
  /**
   * Runs `task` when the client no longer waits for request `id`: it was given up, or the connection is gone,
   * including earlier. The returned function cancels that.
   */
  whenGone(id: number, task: (reason: MayflyError) => void): () => void
  /**
   * Announces an answer of so many bytes: while too many are announced, no further request of the peer is
   * processed. Call the returned function when the answer is given or fails; it is idempotent.
   */
  expects(bytes: number): () => void
  /** Closes the connection: everything that waits on it has been given up when this returns. */
  end(): void
}

/** A request that may wait, and its peer. */
export interface Waiter {
  readonly peer: Peer
  readonly id: number
}

/** How a client resumes its session. */
export interface Resume {
  readonly nonce: string
  readonly resume: readonly string[]
  readonly mutations: number
}

/** Session state of clients across connections. */
export interface ClientSessions {
  /**
   * Assigns a session to a connection: the one known by one of the challenges `resume`, if the client knows
   * all of its `mutations`, or a new one. It is known by the challenge `nonce` from here on. Returns its
   * name.
   */
  join(peer: Peer, of: Resume): string
  /** The connection is gone. */
  leave(peer: Peer): void
}

/** Throws unless the peer is a plane of this cluster. */
export function requireCluster({ claims }: Peer): void {
  if (claims.job !== '')
    throw new MayflyError('FORBIDDEN', 'A job ticket grants no access to the control plane')
}
