import { asMayflyError, type ErrorCode, MayflyError } from '../../protocol/errors.ts'
import { bytesOf } from '../../protocol/transport/outbox.ts'
import type { NodeJob } from '../job/job.ts'
import type { PinnedReply } from '../memory/pinned-reply.ts'

/** A stored error. A stored `Error` object would retain the request's memory through its stack. */
class Failure {
  readonly code: ErrorCode
  readonly reason: string

  constructor(error: unknown) {
    const { code, reason } = asMayflyError(error)
    this.code = code
    this.reason = reason
  }
}

type Outcome = PinnedReply<unknown> | Promise<PinnedReply<unknown>> | Failure

/** One lane of a session: its latest mutation and that mutation's answer. */
export class Lane {
  /** Sequence of the latest mutation; lower ones are refused. */
  sequence = 0
  /** Operation number and key hash of the latest mutation. */
  operation = 0
  keys = 0
  /** Number of the session's connection on which it last arrived. */
  connection = 0
  /** When an answer that pins memory was stored, monotonic ms. */
  atMs = 0
  /** Bytes charged for the answer, besides the job's memory that it pins. */
  answerBytes = 0
  /** Null once nobody needs it. */
  #outcome: Outcome | null = null
  /**
   * Bytes of a consumed object, held in case the answer was lost. Pinned bytes are charged where they lie.
   */
  #heldBytes = 0

  get underWay(): boolean {
    return this.#outcome instanceof Promise
  }

  get holdsMemory(): boolean {
    return this.#heldBytes > 0 || pinOf(this.#outcome) !== undefined
  }

  /** Whether `outcome` is still the pending answer of the lane. */
  isPending(outcome: Promise<PinnedReply<unknown>>): boolean {
    return this.#outcome === outcome
  }

  begin(outcome: Promise<PinnedReply<unknown>>): void {
    this.#outcome = outcome
  }

  store(job: NodeJob, reply: PinnedReply<unknown>): void {
    const { pin, payload } = reply
    this.#outcome = reply
    if (pin !== undefined) pin.hold()
    else if (payload !== undefined) this.#heldBytes = bytesOf(payload)
    if (this.#heldBytes > 0) job.charge(this.#heldBytes)
  }

  fail(error: unknown): void {
    this.#outcome = new Failure(error)
  }

  /** The mutation did nothing: a repetition runs it again. */
  reset(): void {
    this.sequence--
    this.#outcome = null
  }

  /** The answer once more, pinned again for each transmission. */
  replay(): PinnedReply<unknown> | Promise<PinnedReply<unknown>> {
    const outcome = this.#outcome
    if (outcome === null) throw unknownOutcome()
    if (outcome instanceof Failure) throw new MayflyError(outcome.code, outcome.reason)
    return outcome instanceof Promise ? outcome.then(repin) : repin(outcome)
  }

  /** Forgets the answer and frees what it holds. */
  release(job: NodeJob): void {
    const outcome = this.#outcome
    if (outcome === null) return
    const heldBytes = this.#heldBytes
    this.#outcome = null
    this.#heldBytes = 0
    if (heldBytes > 0) job.charge(-heldBytes)
    pinOf(outcome)?.release()
  }
}

function repin(reply: PinnedReply<unknown>): PinnedReply<unknown> {
  if (reply.pin !== undefined && !reply.pin.hold()) throw unknownOutcome()
  return reply
}

export function unknownOutcome(): MayflyError {
  return new MayflyError('OUTCOME_UNKNOWN', 'The client gave this mutation up, or 30 s have passed since')
}

function pinOf(outcome: Outcome | null): PinnedReply<unknown>['pin'] {
  return outcome === null || outcome instanceof Promise || outcome instanceof Failure
    ? undefined
    : outcome.pin
}
