import { assert } from '../protocol/assert.ts'
import type { Answer, Caller } from '../protocol/caller.ts'
import { CallerPool } from '../protocol/caller-pool.ts'
import { metadataOperations } from '../protocol/control-operations.ts'
import { isError, MayflyError } from '../protocol/errors.ts'
import { slotOf } from '../protocol/hash.ts'
import { CONTROL_CALL_MS, RETRY_MS_MAX, RETRY_MS_MIN } from '../protocol/limits.ts'
import type { Dial } from '../protocol/link.ts'
import type { Operation } from '../protocol/operation.ts'
import { ownerOf, type PlacedNode, type Placement } from '../protocol/placement.ts'
import { backoffMs, type Runtime, sleep } from '../protocol/runtime.ts'
import type { Ticket } from '../protocol/ticket.ts'
import { type Bounds, within } from './bounds.ts'

export interface RoutedCall<Request> extends Bounds {
  /** The hash that places the key or chunk. */
  readonly hash: number
  /** The request without the epoch, which is that of the placement by which the node is chosen. */
  readonly request: Omit<Request, 'epoch'>
  readonly payload?: Uint8Array | undefined
  /** A repetition could change what the first one did: if its answer is lost, its outcome is unknown. */
  readonly mutates: boolean
}

/**
 * Brings calls to the node that owns their slot. It has one placement of the job, from the ticket at first, and asks
 * metadata for a newer one only when a node does not own a slot or cannot be reached.
 */
export class Router {
  readonly runtime: Runtime
  readonly #ticket: Ticket
  readonly #pool: CallerPool
  #placement: Placement
  #refreshing: Promise<void> | null = null

  constructor(ticket: Ticket, options: { runtime: Runtime; dial: Dial }) {
    this.runtime = options.runtime
    this.#ticket = ticket
    this.#placement = ticket.placement
    const { clock } = options.runtime
    this.#pool = new CallerPool({ dial: options.dial, clock, token: () => ticket.token })
  }

  get placement(): Placement {
    return this.#placement
  }

  /** Calls the node that owns the hash's slot, wherever that is by then. */
  async call<Request extends { epoch: number }, Reply>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request>,
  ): Promise<Answer<Reply>> {
    return this.retry(call, slotOf(call.hash, this.#placement.owners.length), async (caller, { epoch }) => {
      const request = { ...call.request, epoch } as Request
      try {
        return await caller.call(operation, request, call)
      } catch (error) {
        throw call.mutates ? asOutcome(error) : error
      }
    })
  }

  /**
   * Runs `attempt` against the owner of `slot` until it succeeds, fails for good, or the call's time is over: with a
   * newer placement where the node is not the owner any more, again where it could not be reached.
   */
  async retry<Result>(
    bounds: Bounds,
    slot: number,
    attempt: (caller: Caller, placement: Placement, owner: PlacedNode) => Promise<Result>,
  ): Promise<Result> {
    for (let round = 0; ; round++) {
      const placement = this.#placement
      const owner = ownerOf(placement, slot)
      let failure: unknown = null
      try {
        if (owner !== null)
          return await attempt(await this.#connection(owner.address, bounds), placement, owner)
      } catch (error) {
        if (!isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE', 'CONNECTION_LOST')) throw error
        failure = error
      }
      await this.#refresh(bounds, { known: owner === null ? 0 : placement.epoch, slot })
      if (this.#placement.epoch === placement.epoch) await this.#pause(bounds, round, failure)
    }
  }

  /** Asks metadata something about the job. */
  async askMetadata<Request, Reply>(
    operation: Operation<Request, Reply>,
    request: Request,
    bounds: Bounds,
  ): Promise<Reply> {
    for (let round = 0; ; round++) {
      let failure: unknown
      try {
        const caller = await this.#connection(this.#ticket.metadata, bounds)
        return (await caller.call(operation, request, bounds)).head
      } catch (error) {
        if (!isError(error, 'UNAVAILABLE', 'CONNECTION_LOST')) throw error
        failure = error
      }
      await this.#pause(bounds, round, failure)
    }
  }

  close(): void {
    this.#pool.close()
  }

  /** The connection itself where there is one, so that the usual call waits for nothing. */
  #connection(address: string, bounds: Bounds): Caller | Promise<Caller> {
    const caller = this.#pool.to(address)
    return caller instanceof Promise ? within(bounds, this.runtime.clock, caller) : caller
  }

  /**
   * Waits for a newer placement, or for metadata's word that there is none yet. Calls that need one at the same
   * time share one question; where it fails, each of them goes on as its own time allows.
   */
  async #refresh(bounds: Bounds, question: { known: number; slot: number }): Promise<void> {
    if (this.#placement.epoch > question.known && question.known > 0) return
    this.#refreshing ??= this.#fetchPlacement(question).finally(() => {
      this.#refreshing = null
    })
    await within(bounds, this.runtime.clock, this.#refreshing)
  }

  async #fetchPlacement(question: { known: number; slot: number }): Promise<void> {
    const request = { job: this.#ticket.job, ...question }
    const deadlineMs = this.runtime.clock.monotonicMs() + CONTROL_CALL_MS
    try {
      const placement = await this.askMetadata(metadataOperations.placement, request, { deadlineMs })
      assert(placement.owners.length === this.#placement.owners.length, 'a job keeps its number of slots')
      if (placement.epoch >= this.#placement.epoch) this.#placement = placement
    } catch (error) {
      if (!isError(error, 'DEADLINE_EXCEEDED', 'UNAVAILABLE')) throw error
    }
  }

  async #pause(bounds: Bounds, round: number, cause: unknown): Promise<void> {
    const { clock, random } = this.runtime
    const ms = backoffMs(round, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random)
    if (clock.monotonicMs() + ms >= bounds.deadlineMs) {
      const why = cause instanceof MayflyError ? `: ${cause.reason}` : ''
      throw new MayflyError('UNAVAILABLE', `No owner of the slot could be reached in time${why}`, { cause })
    }
    await within(bounds, clock, sleep(clock, ms))
  }
}

/** After these nobody knows whether the node carried a mutation out. */
function asOutcome(error: unknown): unknown {
  if (!isError(error, 'CONNECTION_LOST', 'DEADLINE_EXCEEDED')) return error
  return new MayflyError('OUTCOME_UNKNOWN', `The answer was lost: ${error.reason}`, { cause: error })
}
