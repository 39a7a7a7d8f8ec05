import { asMayflyError, isError, MayflyError } from '../protocol/errors.ts'
import { REPEAT_MS_MAX, SESSION_KEEP_MS } from '../protocol/limits.ts'
import { bytesOf } from '../protocol/outbox.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { JobSpace } from './job-space.ts'
import type { PinnedReply } from './pinned-reply.ts'

/** Names a mutation among those of its session. */
interface Sequenced {
  readonly lane: number
  readonly sequence: number
}

type Outcome = PinnedReply<unknown> | Promise<PinnedReply<unknown>> | MayflyError

/** Of a session's mutations one after another: the answer of the last. */
interface Lane {
  /** What the client sent before this one may still arrive, and is refused. */
  sequence: number
  /** Null where nobody needs it any more. */
  outcome: Outcome | null
  /** When an answer that holds memory was given. */
  atMs: number
  /** Bytes of a consumed object, kept in case the answer did not arrive; what is pinned is charged where it lies. */
  heldBytes: number
}

interface Session {
  readonly job: JobSpace
  readonly lanes: (Lane | undefined)[]
  /** Lanes whose answers hold memory. */
  holding: number
  /** Since it was swept: to ask the clock at every mutation costs more than to find the session. */
  used: boolean
  /** When it was swept last and had been used. */
  lastMs: number
}

/**
 * Answers of mutations that their clients may repeat because a connection broke. A repetition is given the answer
 * that is here before anything else is looked at: what was done is not done twice, wherever its slot is by now.
 */
export class Sessions {
  readonly #clock: Clock
  /** By job and id: one belongs to one job, and no token reaches the answers of another's. */
  readonly #sessions = new Map<string, Map<string, Session>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Carries a mutation out, once. `job` is the space on this node that its bytes are held against. */
  run<Head>(
    of: { session: string; job: JobSpace },
    { lane: number, sequence }: Sequenced,
    execute: () => PinnedReply<Head> | Promise<PinnedReply<Head>>,
  ): PinnedReply<Head> | Promise<PinnedReply<Head>> {
    if (of.session === '') return execute()
    const session = this.#session(of)
    let lane = session.lanes[number]
    if (lane === undefined) {
      lane = { sequence: 0, outcome: null, atMs: 0, heldBytes: 0 }
      session.lanes[number] = lane
    }
    if (sequence === lane.sequence) return given(lane) as PinnedReply<Head> | Promise<PinnedReply<Head>>
    if (sequence < lane.sequence) throw gone()
    letGo(session, lane)
    lane.sequence = sequence
    return this.#execute(session, lane, execute)
  }

  /** Forgets the answers of these lanes up to their sequences. */
  settle(of: { session: string; job: string }, settled: readonly Sequenced[]): void {
    const session = this.#sessions.get(of.job)?.get(of.session)
    if (session === undefined) return
    for (const { lane: number, sequence } of settled) {
      const lane = session.lanes[number]
      if (lane === undefined || sequence < lane.sequence) continue
      letGo(session, lane)
      lane.sequence = sequence
    }
  }

  /** Frees consumed bytes that were kept long enough, and forgets sessions that have been silent. */
  sweep(): void {
    const now = this.#clock.monotonicMs()
    for (const [job, sessions] of this.#sessions) {
      for (const [id, session] of sessions) {
        if (session.used) {
          session.used = false
          session.lastMs = now
        }
        if (now - session.lastMs > SESSION_KEEP_MS) this.#forget(id, session)
        if (session.holding === 0) continue
        for (const lane of session.lanes) {
          if (lane !== undefined && holdsMemory(lane) && now - lane.atMs > REPEAT_MS_MAX) letGo(session, lane)
        }
      }
      if (sessions.size === 0) this.#sessions.delete(job)
    }
  }

  dropJob(job: JobSpace): void {
    for (const [id, session] of this.#sessions.get(job.id) ?? [])
      if (session.job === job) this.#forget(id, session)
  }

  #session({ session: id, job }: { session: string; job: JobSpace }): Session {
    let sessions = this.#sessions.get(job.id)
    if (sessions === undefined) {
      sessions = new Map()
      this.#sessions.set(job.id, sessions)
    }
    let session = sessions.get(id)
    if (session === undefined) {
      session = { job, lanes: [], holding: 0, used: true, lastMs: 0 }
      sessions.set(id, session)
    }
    session.used = true
    return session
  }

  #forget(id: string, session: Session): void {
    for (const lane of session.lanes) if (lane !== undefined) letGo(session, lane)
    this.#sessions.get(session.job.id)?.delete(id)
  }

  #execute<Head>(
    session: Session,
    lane: Lane,
    execute: () => PinnedReply<Head> | Promise<PinnedReply<Head>>,
  ): PinnedReply<Head> | Promise<PinnedReply<Head>> {
    let reply: PinnedReply<Head> | Promise<PinnedReply<Head>>
    try {
      reply = execute()
    } catch (error) {
      lane.outcome = asMayflyError(error)
      throw error
    }
    if (!(reply instanceof Promise)) {
      this.#keep(session, lane, reply)
      return reply
    }
    // Where it is not the lane's outcome any more when it is there, nobody will ask for it again.
    const outcome = reply.then(
      (value) => {
        if (lane.outcome === outcome) this.#keep(session, lane, value)
        return value
      },
      (error: unknown) => {
        if (lane.outcome === outcome) fail(lane, error)
        throw error
      },
    )
    lane.outcome = outcome
    return outcome
  }

  #keep(session: Session, lane: Lane, reply: PinnedReply<unknown>): void {
    const { pin, payload } = reply
    lane.outcome = reply
    if (pin !== undefined) pin.hold()
    else if (payload !== undefined) lane.heldBytes = bytesOf(payload)
    if (lane.heldBytes > 0) session.job.charge(lane.heldBytes)
    if (!holdsMemory(lane)) return
    session.holding++
    lane.atMs = this.#clock.monotonicMs()
  }
}

function fail(lane: Lane, error: unknown): void {
  if (isError(error, 'CONNECTION_LOST', 'ABORTED')) {
    // A get that was parked and that nobody waits for any more has done nothing: its repetition starts anew.
    lane.sequence--
    lane.outcome = null
  } else {
    lane.outcome = asMayflyError(error)
  }
}

/** The answer once more: each time that it is sent its memory is held for that. */
function given({ outcome }: Lane): PinnedReply<unknown> | Promise<PinnedReply<unknown>> {
  if (outcome === null) throw gone()
  if (outcome instanceof MayflyError) throw outcome
  return outcome instanceof Promise ? outcome.then(heldAgain) : heldAgain(outcome)
}

function heldAgain(reply: PinnedReply<unknown>): PinnedReply<unknown> {
  if (reply.pin !== undefined && !reply.pin.hold()) throw gone()
  return reply
}

function gone(): MayflyError {
  return new MayflyError('OUTCOME_UNKNOWN', 'The client gave this mutation up, or 30 s have passed since')
}

function holdsMemory({ outcome, heldBytes }: Lane): boolean {
  return heldBytes > 0 || pinOf(outcome) !== undefined
}

/** Forgets the lane's answer, and frees what it holds. */
function letGo(session: Session, lane: Lane): void {
  const { outcome, heldBytes } = lane
  if (holdsMemory(lane)) session.holding--
  lane.outcome = null
  lane.heldBytes = 0
  if (heldBytes > 0) session.job.charge(-heldBytes)
  pinOf(outcome)?.release()
}

function pinOf(outcome: Outcome | null): PinnedReply<unknown>['pin'] {
  return outcome === null || outcome instanceof Promise || outcome instanceof MayflyError
    ? undefined
    : outcome.pin
}
