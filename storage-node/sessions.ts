import { asMayflyError, isError, MayflyError } from '../protocol/errors.ts'
import { ANSWERS_MAX, REPEAT_MS_MAX, SESSION_KEEP_MS } from '../protocol/limits.ts'
import { bytesOf } from '../protocol/outbox.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { JobSpace } from './job-space.ts'
import type { PinnedReply } from './pinned-reply.ts'

/** Names a mutation among those of its session. */
interface Sequenced {
  readonly sequence: number
  readonly settled: number
}

interface Answer {
  readonly outcome: PinnedReply<unknown> | Promise<PinnedReply<unknown>> | MayflyError
  readonly atMs: number
  /** Bytes of a consumed object, kept in case the answer did not arrive; what is pinned is charged where it lies. */
  readonly heldBytes: number
}

interface Session {
  readonly job: JobSpace
  readonly answers: Map<number, Answer>
  /** The client has the answers of all mutations below this; what it sent of them may still arrive, and is refused. */
  settled: number
  lastMs: number
}

/**
 * Answers of mutations that their clients may repeat because a connection broke. A repetition is given the answer
 * that is here before anything else is looked at: what was done is not done twice, wherever its slot is by now.
 */
export class Sessions {
  readonly #clock: Clock
  readonly #sessions = new Map<string, Session>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Carries a mutation out, once. `job` is the space on this node that its bytes are held against. */
  run<Head>(
    of: { session: string; job: JobSpace },
    mutation: Sequenced,
    execute: () => PinnedReply<Head> | Promise<PinnedReply<Head>>,
  ): PinnedReply<Head> | Promise<PinnedReply<Head>> {
    if (of.session === '') return execute()
    const session = this.#session(of)
    this.#settle(session, mutation.settled)
    const known = session.answers.get(mutation.sequence)
    if (known !== undefined) return given(known) as PinnedReply<Head> | Promise<PinnedReply<Head>>
    if (mutation.sequence < session.settled) {
      throw new MayflyError('OUTCOME_UNKNOWN', 'The client has given this mutation up')
    }
    if (session.answers.size >= ANSWERS_MAX) {
      throw new MayflyError(
        'TOO_MANY_REQUESTS',
        `${ANSWERS_MAX} mutations of one client wait for it to settle them`,
      )
    }
    return this.#execute(session, mutation.sequence, execute)
  }

  settle(of: { session: string; job: string }, settled: number): void {
    const session = this.#sessions.get(nameOf(of))
    if (session !== undefined) this.#settle(session, settled)
  }

  /** Frees consumed bytes that were kept long enough, and forgets sessions that have been silent. */
  sweep(): void {
    const now = this.#clock.monotonicMs()
    for (const [name, session] of this.#sessions) {
      if (now - session.lastMs > SESSION_KEEP_MS) {
        this.#settle(session, Number.POSITIVE_INFINITY)
        this.#sessions.delete(name)
        continue
      }
      for (const [sequence, answer] of session.answers) {
        if (!holdsBytes(answer) || now - answer.atMs <= REPEAT_MS_MAX) continue
        letGo(session, answer)
        session.answers.set(sequence, { outcome: gone(), atMs: now, heldBytes: 0 })
      }
    }
  }

  dropJob(job: JobSpace): void {
    for (const [name, session] of this.#sessions) {
      if (session.job !== job) continue
      for (const answer of session.answers.values()) letGo(session, answer)
      this.#sessions.delete(name)
    }
  }

  #session({ session: id, job }: { session: string; job: JobSpace }): Session {
    const name = nameOf({ session: id, job: job.id })
    let session = this.#sessions.get(name)
    if (session === undefined) {
      session = { job, answers: new Map(), settled: 0, lastMs: 0 }
      this.#sessions.set(name, session)
    }
    session.lastMs = this.#clock.monotonicMs()
    return session
  }

  #settle(session: Session, settled: number): void {
    if (settled <= session.settled) return
    session.settled = settled
    // They stand in the order of their coming, which is that of their sequences but for repetitions: one that is passed
    // over here goes with those before it.
    for (const [sequence, answer] of session.answers) {
      if (sequence >= settled) break
      session.answers.delete(sequence)
      letGo(session, answer)
    }
  }

  #execute<Head>(
    session: Session,
    sequence: number,
    execute: () => PinnedReply<Head> | Promise<PinnedReply<Head>>,
  ): PinnedReply<Head> | Promise<PinnedReply<Head>> {
    let reply: PinnedReply<Head> | Promise<PinnedReply<Head>>
    try {
      reply = execute()
    } catch (error) {
      this.#record(session, sequence, asMayflyError(error))
      throw error
    }
    if (!(reply instanceof Promise)) {
      this.#record(session, sequence, reply)
      return reply
    }
    const settled = reply.then(
      (value) => {
        this.#record(session, sequence, value)
        return value
      },
      (error: unknown) => {
        // A get that was parked and that nobody waits for any more has done nothing: its repetition starts anew.
        if (isError(error, 'CONNECTION_LOST', 'ABORTED')) session.answers.delete(sequence)
        else this.#record(session, sequence, asMayflyError(error))
        throw error
      },
    )
    this.#record(session, sequence, settled)
    return settled
  }

  #record(session: Session, sequence: number, outcome: Answer['outcome']): void {
    if (sequence < session.settled) return
    let heldBytes = 0
    if (!(outcome instanceof Promise) && !(outcome instanceof MayflyError)) {
      if (outcome.pin === undefined) heldBytes = bytesOf(outcome.payload)
      else outcome.pin.hold()
    }
    if (heldBytes > 0) session.job.charge(heldBytes)
    session.answers.set(sequence, { outcome, atMs: this.#clock.monotonicMs(), heldBytes })
  }
}

/** A session belongs to one job: no token reaches the answers of another's. */
function nameOf({ session, job }: { session: string; job: string }): string {
  return `${job}/${session}`
}

/** The answer once more: each time that it is sent its memory is held for that. */
function given({ outcome }: Answer): PinnedReply<unknown> | Promise<PinnedReply<unknown>> {
  if (outcome instanceof MayflyError) throw outcome
  return outcome instanceof Promise ? outcome.then(heldAgain) : heldAgain(outcome)
}

function heldAgain(reply: PinnedReply<unknown>): PinnedReply<unknown> {
  if (reply.pin !== undefined && !reply.pin.hold()) throw gone()
  return reply
}

function gone(): MayflyError {
  return new MayflyError('OUTCOME_UNKNOWN', 'The consumed bytes were kept for 30 s and are gone')
}

function holdsBytes({ outcome, heldBytes }: Answer): boolean {
  return heldBytes > 0 || pinOf(outcome) !== undefined
}

function letGo(session: Session, { outcome, heldBytes }: Answer): void {
  if (heldBytes > 0) session.job.charge(-heldBytes)
  pinOf(outcome)?.release()
}

function pinOf(outcome: Answer['outcome']): PinnedReply<unknown>['pin'] {
  return outcome instanceof Promise || outcome instanceof MayflyError ? undefined : outcome.pin
}
