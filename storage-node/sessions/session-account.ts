import { SESSIONS_BYTES_MAX } from '../../protocol/limits.ts'
import type { Session } from './session.ts'

/** What the sessions of one job cost a node, with a bound. */
export class SessionAccount {
  readonly sessions = new Set<Session>()
  bytes = 0
  /** Those without a connection, in the order in which they became silent. */
  readonly #orphans = new Set<Session>()

  add(session: Session): void {
    this.sessions.add(session)
    this.bytes += session.bytes
  }

  remove(session: Session): void {
    this.#orphans.delete(session)
    if (this.sessions.delete(session)) this.bytes -= session.bytes
  }

  orphan(session: Session): void {
    this.#orphans.delete(session)
    this.#orphans.add(session)
  }

  adopt(session: Session): void {
    this.#orphans.delete(session)
  }

  /** Those that have been silent since before `untilMs`. */
  *silentUntil(untilMs: number): Generator<Session> {
    for (const session of this.#orphans) {
      if (session.underWay > 0) continue
      if (session.silentSinceMs >= untilMs) return
      yield session
    }
  }

  /** Who has to be forgotten so that `bytes` more can be counted: a client that comes back learns that its session is over. */
  *inTheWayOf(bytes: number): Generator<Session> {
    for (const session of this.#orphans) {
      if (this.bytes + bytes <= SESSIONS_BYTES_MAX) return
      yield session
    }
  }

  hasRoomFor(bytes: number): boolean {
    return this.bytes + bytes <= SESSIONS_BYTES_MAX
  }
}
