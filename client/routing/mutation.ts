import { isError, MayflyError } from '../../protocol/errors.ts'
import { REPEAT_MS_MAX } from '../../protocol/limits.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { type Answer, wasInVain } from '../../protocol/transport/call.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import type { Deadline } from './deadline.ts'
import type { Lanes } from './lanes.ts'
import type { RoutedMutation } from './routed-call.ts'

/** The argument of `onRetry`. */
export interface FailedAttempt {
  readonly attempt: number
  readonly error: unknown
  readonly address: string | undefined
  readonly key?: Uint8Array | undefined
}

interface MutationOptions<Request, Reply> {
  readonly operation: Operation<Request, Reply>
  readonly call: Omit<RoutedMutation<Request>, 'hash'>
  readonly caller: Caller
  readonly owner: PlacedNode
  readonly epoch: number
  readonly sequencer: Lanes
  readonly clock: Clock
  /** Reconnects to the same process, or rejects with the reason. */
  readonly reach: (owner: PlacedNode, bounds: Deadline) => Promise<Caller>
  /** Reports that an attempt failed and is repeated. */
  readonly tell: (failed: FailedAttempt) => void
}

/**
 * One mutation at one node, under one sequence of one lane. If the answer is lost it is repeated to the same
 * process, which recognizes the sequence.
 */
export class Mutation<Request, Reply> {
  readonly #options: MutationOptions<Request, Reply>
  readonly #lane: number
  readonly #sequence: number
  #caller: Caller

  /** Throws `TOO_MANY_REQUESTS` if too many mutations are in progress at the node. */
  constructor(options: MutationOptions<Request, Reply>) {
    this.#options = options
    this.#caller = options.caller
    this.#lane = options.sequencer.begin()
    options.caller.beginMutation()
    this.#sequence = options.sequencer.sequenceOf(this.#lane)
  }

  request(): Request {
    const { call, epoch } = this.#options
    return call.request({ epoch, lane: this.#lane, sequence: this.#sequence })
  }

  /** Releases the lane. */
  end(): void {
    const { sequencer, call } = this.#options
    sequencer.end(this.#lane, call.holds === true ? this.#caller : null)
  }

  /**
   * Until when the node is sought after its connection was lost just now. It counts from the loss, however long the
   * mutation has waited: the node keeps a session from when it lost the connection, and an answer from when there is one.
   * Later it may have forgotten both, which it then says.
   */
  #giveUpMs(): number {
    const { call, clock } = this.#options
    return Math.min(call.deadlineMs, clock.monotonicMs() + REPEAT_MS_MAX)
  }

  /** Continues after `failure`: repeats until there is an answer, or rejects with the known outcome. */
  async recover(failure: unknown): Promise<Answer<Reply>> {
    const { operation, call, caller, owner, reach, tell } = this.#options
    const { session } = caller
    let error = failure
    try {
      for (let attempt = 1; ; attempt++) {
        if (!isError(error, 'CONNECTION_LOST')) throw outcomeOf(error, attempt > 1)
        tell({ attempt, error, address: owner.address, key: call.key })
        this.#caller = await reach(owner, { ...call, deadlineMs: this.#giveUpMs() }).catch(
          (reason: unknown) => {
            throw unknown(reason)
          },
        )
        if (this.#caller.session !== session) throw unknown(error)
        try {
          return await this.#caller.call(operation, this.request(), { ...call, mutates: true })
        } catch (next) {
          error = next
        }
      }
    } finally {
      this.end()
    }
  }
}

/** A failure to send a repetition says nothing about the earlier message. */
function outcomeOf(error: unknown, isRepeated: boolean): unknown {
  const isOpen =
    (isError(error, 'DEADLINE_EXCEEDED') && (isRepeated || !wasInVain(error))) ||
    (isRepeated && isError(error, 'TOO_MANY_REQUESTS', 'ABORTED'))
  return isOpen ? unknown(error) : error
}

/** The outcome is unknown, whatever the reason for the missing answer. */
function unknown(cause: unknown): unknown {
  if (isError(cause, 'CLOSED', 'JOB_ENDED')) return cause
  const why = cause instanceof MayflyError ? `: ${cause.reason}` : ''
  return new MayflyError('OUTCOME_UNKNOWN', `The answer of the node was lost${why}`, { cause })
}
