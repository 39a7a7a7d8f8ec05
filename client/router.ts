import { assert } from '../protocol/assert.ts'
import type { Answer, Caller } from '../protocol/caller.ts'
import { CallerPool } from '../protocol/caller-pool.ts'
import { metadataOperations } from '../protocol/control-operations.ts'
import { isError, MayflyError } from '../protocol/errors.ts'
import { slotOf } from '../protocol/hash.ts'
import {
  CONTROL_CALL_MS,
  REPEAT_MS_MAX,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  SESSION_BYTES,
} from '../protocol/limits.ts'
import type { Dial } from '../protocol/link.ts'
import type { Operation } from '../protocol/operation.ts'
import { ownerOf, type PlacedNode, type Placement } from '../protocol/placement.ts'
import { backoffMs, type Runtime, sleep } from '../protocol/runtime.ts'
import type { Ticket } from '../protocol/ticket.ts'
import { type Bounds, within } from './bounds.ts'
import { type Sequence, Sequencer } from './sequencer.ts'

/** What a request carries beside what the caller asks for. */
export interface Sent extends Sequence {
  /** Of the placement by which the node was chosen. */
  readonly epoch: number
}

export interface RoutedCall<Request> extends Bounds {
  /** The hash that places the key or chunk. */
  readonly hash: number
  /** Makes the request anew for each attempt. */
  readonly request: (sent: Sent) => Request
  readonly payload?: Uint8Array | undefined
}

/** No slot, in a question for a placement that is about none in particular. */
const ANY_SLOT = 0xffff

const UNSEQUENCED: Sequence = { sequence: 0, settled: 0 }

/**
 * Brings calls to the node that owns their slot. It has one placement of the job, from the ticket at first, and asks
 * metadata for a newer one only when a node does not own a slot or cannot be reached.
 */
export class Router {
  readonly runtime: Runtime
  readonly #ticket: Ticket
  readonly #pool: CallerPool
  readonly #sequencers = new Map<string, Sequencer>()
  #placement: Placement
  #refreshing: Promise<void> | null = null

  constructor(ticket: Ticket, options: { runtime: Runtime; dial: Dial }) {
    const { runtime, dial } = options
    this.runtime = runtime
    this.#ticket = ticket
    this.#placement = ticket.placement
    const session = runtime.random.bytes(SESSION_BYTES)
    this.#pool = new CallerPool({ dial, clock: runtime.clock, token: () => ticket.token, session })
  }

  get placement(): Placement {
    return this.#placement
  }

  slotOf(hash: number): number {
    return slotOf(hash, this.#placement.owners.length)
  }

  /** Reads from the node that owns the hash's slot, wherever that is by then; repeats where the answer was lost. */
  async call<Request, Reply>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request>,
  ): Promise<Answer<Reply>> {
    return this.retry(call, this.slotOf(call.hash), (caller, { epoch }) =>
      caller.call(operation, call.request({ epoch, ...UNSEQUENCED }), call),
    )
  }

  /** Changes something at the node that owns the hash's slot: once, or not at all, or `OUTCOME_UNKNOWN`. */
  async mutate<Request, Reply>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request> & { readonly holds?: boolean },
  ): Promise<Answer<Reply>> {
    return this.retry(call, this.slotOf(call.hash), (caller, placement, owner) =>
      this.mutateAt({ caller, placement, owner }, operation, call),
    )
  }

  /** Sends a mutation to one node, and repeats it there alone where the answer was lost. */
  async mutateAt<Request, Reply>(
    at: { caller: Caller; placement: Placement; owner: PlacedNode },
    operation: Operation<Request, Reply>,
    call: Omit<RoutedCall<Request>, 'hash'> & { readonly holds?: boolean },
  ): Promise<Answer<Reply>> {
    const { owner } = at
    const { epoch } = at.placement
    const { clock } = this.runtime
    if (at.caller.serverId !== owner.id) await this.#verify(at.caller, owner, call)
    const sequencer = this.#sequencer(owner.id)
    const sequence = sequencer.begin(call.holds === true)
    const giveUpMs = Math.min(call.deadlineMs, clock.monotonicMs() + REPEAT_MS_MAX)
    let { caller } = at
    try {
      for (let isRepeated = false; ; isRepeated = true) {
        try {
          const request = call.request({ epoch, sequence, settled: sequencer.settled })
          return await caller.call(operation, request, call)
        } catch (error) {
          // A repetition that cannot even be sent says nothing about the message before it.
          const isOpen =
            isError(error, 'DEADLINE_EXCEEDED') || (isRepeated && isError(error, 'TOO_MANY_REQUESTS'))
          if (!isError(error, 'CONNECTION_LOST')) throw isOpen ? unknown(error) : error
        }
        caller = await this.#reach(owner, { ...call, deadlineMs: giveUpMs }).catch((error: unknown) => {
          throw unknown(error)
        })
      }
    } finally {
      sequencer.end(sequence, caller)
    }
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

  /**
   * The very node that a mutation was sent to, over a new connection. Rejects if another process is at its address, if
   * metadata knows it no more, or if it cannot be reached in time.
   */
  async #reach(node: PlacedNode, bounds: Bounds): Promise<Caller> {
    const { clock, random } = this.runtime
    for (let round = 0; ; round++) {
      let failure: unknown
      try {
        const caller = await this.#connection(node.address, bounds)
        await this.#verify(caller, node, bounds)
        return caller
      } catch (error) {
        if (!isError(error, 'UNAVAILABLE', 'CONNECTION_LOST')) throw error
        failure = error
      }
      const { epoch } = this.#placement
      await this.#refresh(bounds, { known: epoch, slot: ANY_SLOT })
      const pauseMs = backoffMs(round, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random)
      const isGone = !this.#placement.nodes.some(({ id }) => id === node.id)
      if (isGone || clock.monotonicMs() + pauseMs >= bounds.deadlineMs) throw failure
      await within(bounds, clock, sleep(clock, pauseMs))
    }
  }

  /**
   * Rejects with `STALE_PLACEMENT` if another process is at the node's address by now: sequences are counted for each
   * process, and what was counted for one means something else to another.
   */
  async #verify(caller: Caller, node: PlacedNode, bounds: Bounds): Promise<void> {
    const server = caller.serverId ?? (await within(bounds, this.runtime.clock, caller.server))
    if (server === node.id) return
    throw new MayflyError('STALE_PLACEMENT', `At ${node.address} there is ${server} now, not ${node.id}`)
  }

  #sequencer(node: string): Sequencer {
    let sequencer = this.#sequencers.get(node)
    if (sequencer === undefined) {
      sequencer = new Sequencer(this.runtime.clock)
      this.#sequencers.set(node, sequencer)
    }
    return sequencer
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

/** Nobody knows whether the node carried the mutation out, whatever it is that keeps its answer away. */
function unknown(cause: unknown): unknown {
  if (isError(cause, 'ABORTED', 'CLOSED', 'JOB_ENDED')) return cause
  const why = cause instanceof MayflyError ? `: ${cause.reason}` : ''
  return new MayflyError('OUTCOME_UNKNOWN', `The answer of the node was lost${why}`, { cause })
}
