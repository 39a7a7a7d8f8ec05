import { SESSIONS_BYTES_MAX } from '../limits.ts'
import type { Session } from './session.ts'

/** What the sessions of one job cost the node, bounded. */
export class SessionAccount {
  readonly sessions = new Set<Session>()
  bytes = 0
  /** Sessions without a connection, in the order in which they disconnected. */
  readonly #disconnectedSessions = new Set<Session>()

  add(session: Session): void {
    this.sessions.add(session)
    this.bytes += session.bytes
  }

  remove(session: Session): void {
    this.#disconnectedSessions.delete(session)
    if (this.sessions.delete(session)) this.bytes -= session.bytes
  }

  disconnected(session: Session): void {
    this.#disconnectedSessions.delete(session)
    this.#disconnectedSessions.add(session)
  }

  connected(session: Session): void {
    this.#disconnectedSessions.delete(session)
  }

  /** Sessions that have been idle since before `untilMs`. */
  *idleSince(untilMs: number): Generator<Session> {
    for (const session of this.#disconnectedSessions) {
      if (session.underWay > 0) continue
      if (session.idleSinceMs >= untilMs) return
      yield session
    }
  }

  /**
   * Disconnected sessions to evict so that `bytes` more fit. An evicted client learns on reconnect that its
   * session is over.
   */
  *evictionsFor(bytes: number): Generator<Session> {
    for (const session of this.#disconnectedSessions) {
      if (this.bytes + bytes <= SESSIONS_BYTES_MAX) return
      yield session
    }
  }

  hasRoomFor(bytes: number): boolean {
    return this.bytes + bytes <= SESSIONS_BYTES_MAX
  }
}
