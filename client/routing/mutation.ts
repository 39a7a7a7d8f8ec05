import { isError, MayflyError } from '../../protocol/errors.ts'
import { REPEAT_MS_MAX } from '../../protocol/limits.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Answer } from '../../protocol/transport/call.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import type { Deadline } from './deadline.ts'
import type { Lanes } from './lanes.ts'
import type { RoutedMutation } from './routed-call.ts'

interface MutationOptions<Request, Reply> {
  readonly operation: Operation<Request, Reply>
  readonly call: Omit<RoutedMutation<Request>, 'hash'>
  readonly caller: Caller
  readonly owner: PlacedNode
  readonly epoch: number
  readonly sequencer: Lanes
  readonly clock: Clock
  /** Connects to the very process again, or rejects with why that can't be. */
  readonly reach: (owner: PlacedNode, bounds: Deadline) => Promise<Caller>
}

/**
 * One mutation at one node, under one sequence of one lane. Where its answer was lost it is repeated to the very same process, which
 * knows by the sequence whether it was carried out.
 */
export class Mutation<Request, Reply> {
  readonly #options: MutationOptions<Request, Reply>
  readonly #lane: number
  readonly #sequence: number
  /** Of its repetitions, counted from when it is first sent: the node forgets, and would carry it out again. */
  readonly #giveUpMs: number
  #caller: Caller

  /** Throws `TOO_MANY_REQUESTS` if too many are under way at the node. */
  constructor(options: MutationOptions<Request, Reply>) {
    this.#options = options
    this.#caller = options.caller
    this.#lane = options.sequencer.begin()
    options.caller.beginMutation()
    this.#sequence = options.sequencer.sequenceOf(this.#lane)
    this.#giveUpMs = Math.min(options.call.deadlineMs, options.clock.monotonicMs() + REPEAT_MS_MAX)
  }

  request(): Request {
    const { call, epoch } = this.#options
    return call.request({ epoch, lane: this.#lane, sequence: this.#sequence })
  }

  /** It has its answer, or nobody waits for it any more. */
  end(): void {
    const { sequencer, call } = this.#options
    sequencer.end(this.#lane, call.holds === true ? this.#caller : null)
  }

  /** Goes on after `failure`, and ends it: repeated until it is answered, or rejected with what is known of its outcome. */
  async recover(failure: unknown): Promise<Answer<Reply>> {
    const { operation, call, caller, owner, reach } = this.#options
    const { session } = caller
    let error = failure
    try {
      for (let isRepeated = false; ; isRepeated = true) {
        if (!isError(error, 'CONNECTION_LOST')) throw outcomeOf(error, isRepeated)
        this.#caller = await reach(owner, { ...call, deadlineMs: this.#giveUpMs }).catch(
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

/** A repetition that cannot even be sent, or was given up before, says nothing about the message before it. */
function outcomeOf(error: unknown, isRepeated: boolean): unknown {
  const isOpen =
    isError(error, 'DEADLINE_EXCEEDED') || (isRepeated && isError(error, 'TOO_MANY_REQUESTS', 'ABORTED'))
  return isOpen ? unknown(error) : error
}

/** Nobody knows whether the node carried the mutation out, whatever it is that keeps its answer away. */
function unknown(cause: unknown): unknown {
  if (isError(cause, 'CLOSED', 'JOB_ENDED')) return cause
  const why = cause instanceof MayflyError ? `: ${cause.reason}` : ''
  return new MayflyError('OUTCOME_UNKNOWN', `The answer of the node was lost${why}`, { cause })
}
