import { MayflyError } from '../../protocol/errors.ts'
import type { Claims } from '../../protocol/model/token.ts'

/** Who is at the other end of a connection. */
export interface Peer {
  readonly claims: Claims
  /** What the server's `ClientSessions` remember of the client's mutations, over all its connections. */
  session: object | null
  /** Names the session; without one, the connection. */
  readonly sessionName: string
  /**
   * Runs `task` when nobody waits any more for the answer to request `id`: it was given up, or the connection is gone, also if
   * that is so already. The returned function takes that back.
   */
  whenGone(id: number, task: (reason: MayflyError) => void): () => void
  /**
   * Says before so many bytes of an answer come into memory: nothing more that the peer asks is worked off while it has too many of them.
   * The returned function is called when the answer is given, or there will be none; again, it does nothing.
   */
  expects(bytes: number): () => void
  /** Ends the connection: all that waits on it is given up before this returns. */
  end(): void
}

/** A request that may wait, and for whom. */
export interface Waiter {
  readonly peer: Peer
  readonly id: number
}

/** How a client comes back. */
export interface Resume {
  readonly nonce: string
  readonly resume: readonly string[]
  readonly mutations: number
}

/** What a server remembers of its clients over their connections. */
export interface ClientSessions {
  /**
   * Gives a connection its session: the one that is known by one of the challenges `resume`, if the client knows of all
   * `mutations` in it, or a new one. From here on it is known by the challenge `nonce`. Returns its name.
   */
  join(peer: Peer, of: Resume): string
  /** The connection is gone. */
  leave(peer: Peer): void
}

/** Throws unless the token is the cluster's own. */
export function requireCluster({ claims }: Peer): void {
  if (claims.job !== '')
    throw new MayflyError('FORBIDDEN', 'A job ticket grants no access to the control plane')
}
