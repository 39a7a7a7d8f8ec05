import { asMayflyError, type ErrorCode, MayflyError } from '../../protocol/errors.ts'
import { bytesOf } from '../../protocol/transport/outbox.ts'
import type { NodeJob } from '../job/job.ts'
import type { PinnedReply } from '../memory/pinned-reply.ts'

/** An error as it is given again. An `Error` would keep what its stack has captured: the request, with its memory. */
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

/** Of a session's mutations one after another: the last, and its answer. */
export class Lane {
  /** What the client sent before this one may still arrive, and is refused. */
  sequence = 0
  /** What was asked for: the operation's number, and a hash of its keys. */
  operation = 0
  keys = 0
  /** Of its session, over which it came, or was repeated, last. */
  connection = 0
  /** When an answer that holds memory was given. */
  atMs = 0
  /** What the answer is counted for, beside what it holds of the job's memory. */
  answerBytes = 0
  /** Null where nobody needs it any more. */
  #outcome: Outcome | null = null
  /** Bytes of a consumed object, kept in case the answer did not arrive; what is pinned is charged where it lies. */
  #heldBytes = 0

  get underWay(): boolean {
    return this.#outcome instanceof Promise
  }

  get holdsMemory(): boolean {
    return this.#heldBytes > 0 || pinOf(this.#outcome) !== undefined
  }

  /** Whether this is what the lane's mutation will be answered with; else nobody will ask for it again. */
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

  /** Nothing was done: a repetition starts anew. */
  reset(): void {
    this.sequence--
    this.#outcome = null
  }

  /** The answer once more: each time that it is sent its memory is held for that. */
  replay(): PinnedReply<unknown> | Promise<PinnedReply<unknown>> {
    const outcome = this.#outcome
    if (outcome === null) throw unknownOutcome()
    if (outcome instanceof Failure) throw new MayflyError(outcome.code, outcome.reason)
    return outcome instanceof Promise ? outcome.then(repin) : repin(outcome)
  }

  /** Forgets the answer, and frees what it holds. */
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
