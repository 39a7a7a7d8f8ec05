import { assert } from '../../protocol/assert.ts'
import { isError, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, RETRY_MS_MAX, RETRY_MS_MIN } from '../../protocol/limits.ts'
import { slotOf } from '../../protocol/model/hash.ts'
import { ownerOf, type PlacedNode, type Placement } from '../../protocol/model/placement.ts'
import type { Ticket } from '../../protocol/model/ticket.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { backoffMs, type Runtime, sleep } from '../../protocol/runtime.ts'
import type { Answer } from '../../protocol/transport/call.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { askServerOf } from '../../protocol/transport/job-server.ts'
import type { Dial } from '../../protocol/transport/link.ts'
import { type Deadline, within } from './deadline.ts'
import { FastPath, isTransient } from './fast-path.ts'
import { Lanes } from './lanes.ts'
import { Mutation } from './mutation.ts'
import type { Finish, RoutedCall, RoutedMutation } from './routed-call.ts'

/** A node as the placement of the moment has it, and a connection to it. */
interface At {
  readonly caller: Caller
  readonly placement: Placement
  readonly owner: PlacedNode
}

type Attempt<Result> = (caller: Caller, placement: Placement, owner: PlacedNode) => Promise<Result>

/** An attempt that has failed already, by the placement that was known then. */
interface Failed {
  readonly placement: Placement
  readonly failure: unknown
}

/** No slot, in a question for a placement that is about none in particular. */
const ANY_SLOT = 0xffff

/**
 * Brings calls to the node that owns their slot. It has one placement of the job, from the ticket at first, and asks
 * metadata for a newer one only when a node does not own a slot or cannot be reached.
 */
export class Router {
  readonly runtime: Runtime
  #ticket: Ticket
  /** Address of the metadata server that decides for the job, as far as is known here. */
  #metadata: string
  readonly #pool: CallerPool
  readonly #sequencers = new Map<string, Lanes>()
  #placement: Placement
  #refreshing: Promise<void> | null = null

  constructor(ticket: Ticket, options: { runtime: Runtime; dial: Dial }) {
    const { runtime, dial } = options
    this.runtime = runtime
    this.#ticket = ticket
    this.#metadata = ticket.metadata
    this.#placement = ticket.placement
    this.#pool = new CallerPool({ dial, runtime, token: () => this.#ticket.token })
  }

  get placement(): Placement {
    return this.#placement
  }

  /** Goes on with another ticket of the same job, over the connections that are open. Throws `BAD_REQUEST` for one of another job. */
  async renew(ticket: Ticket): Promise<void> {
    if (ticket.job !== this.#ticket.job) {
      const what = `ticket: it is one of job '${ticket.job}', and this client was opened for '${this.#ticket.job}'`
      throw new MayflyError('BAD_REQUEST', what)
    }
    this.#ticket = ticket
    await this.#pool.renew()
  }

  slotOf(hash: number): number {
    return slotOf(hash, this.#placement.owners.length)
  }

  isOwner(placement: Placement, node: PlacedNode, hash: number): boolean {
    return ownerOf(placement, this.slotOf(hash))?.id === node.id
  }

  /** Reads from the node that owns the hash's slot, wherever that is by then; repeats where the answer was lost. */
  call<Request, Reply>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request>,
  ): Promise<Answer<Reply>> {
    return this.read(operation, call, asAnswer)
  }

  /** As `call`, with the result that `finish` makes of the answer. */
  read<Request, Reply, Result>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request>,
    finish: Finish<Reply, Result>,
  ): Promise<Result> {
    const attempt: Attempt<Answer<Reply>> = (caller, { epoch }) =>
      caller.call(operation, call.request({ epoch, lane: 0, sequence: 0 }), call)
    return this.#send(operation, call, { finish, attempt, begin: noMutation })
  }

  /** Changes something at the node that owns the hash's slot: once, or not at all, or `OUTCOME_UNKNOWN`. */
  mutate<Request, Reply, Result>(
    operation: Operation<Request, Reply>,
    call: RoutedMutation<Request>,
    finish: Finish<Reply, Result>,
  ): Promise<Result> {
    const attempt: Attempt<Answer<Reply>> = (caller, placement, owner) =>
      this.mutateAt({ caller, placement, owner }, operation, call)
    return this.#send(operation, call, { finish, attempt, begin: (at) => this.#begin(at, operation, call) })
  }

  /** Sends a mutation to one node, and repeats it there alone where the answer was lost. */
  async mutateAt<Request, Reply>(
    at: At,
    operation: Operation<Request, Reply>,
    call: Omit<RoutedMutation<Request>, 'hash'>,
  ): Promise<Answer<Reply>> {
    if (at.caller.serverId !== at.owner.id) await this.#verify(at.caller, at.owner, call)
    const mutation = this.#begin(at, operation, call)
    let answered: Answer<Reply>
    try {
      answered = await at.caller.call(operation, mutation.request(), { ...call, mutates: true })
    } catch (error) {
      return await mutation.recover(error)
    }
    mutation.end()
    return answered
  }

  /**
   * Runs `attempt` against the owner of `slot` until it succeeds, fails for good, or the call's time is over: with a
   * newer placement where the node is not the owner any more, again where it could not be reached. `failed` is the
   * first attempt, where that was made already.
   */
  async retry<Result>(
    bounds: Deadline & { readonly failed?: Failed | null },
    slot: number,
    attempt: Attempt<Result>,
  ): Promise<Result> {
    const { failed } = bounds
    for (let round = 0; ; round++) {
      const placement = this.#placement
      const owner = ownerOf(placement, slot)
      let failure: unknown = null
      try {
        if (round === 0 && failed?.placement === placement) throw failed.failure
        if (owner !== null)
          return await attempt(await this.#connection(owner.address, bounds), placement, owner)
      } catch (error) {
        if (!isTransient(error)) throw error
        failure = error
      }
      const question = { known: owner === null ? 0 : placement.epoch, slot }
      const after = { ...bounds, failure }
      const newer = this.#refresh(after, question).then(() =>
        this.#placement.epoch === placement.epoch ? this.#pause(bounds, round, failure) : undefined,
      )
      const isElsewhere = owner === null || isError(failure, 'STALE_PLACEMENT')
      // A node that cannot be reached, or must not serve, may be back before metadata has anything to say.
      await (isElsewhere ? newer : Promise.race([newer, this.#sleep(after, this.#pauseMs(round))]))
    }
  }

  /** Asks metadata something about the job, wherever it has moved since the ticket was made. */
  async askMetadata<Request, Reply>(
    operation: Operation<Request, Reply>,
    request: Request,
    bounds: Deadline,
  ): Promise<Reply> {
    for (let round = 0; ; round++) {
      let failure: unknown = null
      try {
        const caller = await this.#connection(this.#metadata, bounds)
        const answer = await askServerOf(this.#ticket.job, { caller, bounds }, { operation, request })
        if ('reply' in answer) return answer.reply
        this.#metadata = answer.movedTo
        // It may have gone on since; who follows it for long goes at a bounded pace.
        if (round === 0) continue
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
  readonly #reach = async (node: PlacedNode, bounds: Deadline): Promise<Caller> => {
    const { clock } = this.runtime
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
      await this.#refresh({ ...bounds, failure }, { known: epoch, slot: ANY_SLOT })
      const pauseMs = this.#pauseMs(round)
      const isGone = !this.#placement.nodes.some(({ id }) => id === node.id)
      if (isGone || clock.monotonicMs() + pauseMs >= bounds.deadlineMs) throw failure
      await this.#sleep(bounds, pauseMs)
    }
  }

  /**
   * Rejects with `STALE_PLACEMENT` if another process is at the node's address by now: sequences are counted for each
   * process, and what was counted for one means something else to another.
   */
  async #verify(caller: Caller, node: PlacedNode, bounds: Deadline): Promise<void> {
    const server = caller.serverId ?? (await within(bounds, this.runtime.clock, caller.server))
    if (server === node.id) return
    throw new MayflyError('STALE_PLACEMENT', `At ${node.address} there is ${server} now, not ${node.id}`)
  }

  /** At once where the connection to the owner is open; else, and where that fails, patiently by `attempt`. */
  #send<Request, Reply, Result>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request>,
    how: {
      finish: Finish<Reply, Result>
      attempt: Attempt<Answer<Reply>>
      begin: (at: At) => Mutation<Request, Reply> | null
    },
  ): Promise<Result> {
    const { finish, attempt, begin } = how
    const slot = this.slotOf(call.hash)
    const at = this.#openAt(slot)
    const slowly = (failed: Failed | null): Promise<Answer<Reply>> =>
      this.retry({ ...call, failed }, slot, attempt)
    if (at === null) return slowly(null).then(({ head, payload }) => finish(head, payload))
    const { caller, placement } = at
    return new Promise((resolve, reject) => {
      const mutation = begin(at)
      const quick = new FastPath({
        finish,
        slowly: (failure) => slowly({ placement, failure }),
        resolve,
        reject,
        mutation,
      })
      const request = mutation?.request() ?? call.request({ epoch: placement.epoch, lane: 0, sequence: 0 })
      caller.start({ operation, request, waiting: quick, mutates: mutation !== null }, call)
    })
  }

  #begin<Request, Reply>(
    { caller, placement, owner }: At,
    operation: Operation<Request, Reply>,
    call: Omit<RoutedMutation<Request>, 'hash'>,
  ): Mutation<Request, Reply> {
    return new Mutation({
      operation,
      call,
      caller,
      owner,
      epoch: placement.epoch,
      sequencer: this.#sequencer(owner.id),
      clock: this.runtime.clock,
      reach: this.#reach,
    })
  }

  /** The owner of a slot, if a connection to it is open and it has said who it is: a call can go out at once. */
  #openAt(slot: number): At | null {
    const placement = this.#placement
    const owner = ownerOf(placement, slot)
    const caller = owner === null ? null : this.#pool.openTo(owner.address)
    if (owner === null || caller === null || caller.serverId !== owner.id) return null
    return { caller, placement, owner }
  }

  #sequencer(node: string): Lanes {
    let sequencer = this.#sequencers.get(node)
    if (sequencer === undefined) {
      sequencer = new Lanes(this.runtime.clock)
      this.#sequencers.set(node, sequencer)
    }
    return sequencer
  }

  close(): void {
    this.#pool.close()
  }

  /** The connection itself where there is one, so that the usual call waits for nothing. */
  #connection(address: string, bounds: Deadline): Caller | Promise<Caller> {
    const caller = this.#pool.to(address)
    return caller instanceof Promise ? within(bounds, this.runtime.clock, caller) : caller
  }

  /**
   * Waits for a newer placement, or for metadata's word that there is none yet. Calls that need one at the same
   * time share one question; where it fails, each of them goes on as its own time allows.
   */
  async #refresh(bounds: Deadline, question: { known: number; slot: number }): Promise<void> {
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

  async #pause(bounds: Deadline, round: number, cause: unknown): Promise<void> {
    const ms = this.#pauseMs(round)
    if (this.runtime.clock.monotonicMs() + ms >= bounds.deadlineMs) {
      const why = cause instanceof MayflyError ? `: ${cause.reason}` : ''
      throw new MayflyError('UNAVAILABLE', `No owner of the slot could be reached in time${why}`, { cause })
    }
    await this.#sleep(bounds, ms)
  }

  #sleep(bounds: Deadline, ms: number): Promise<void> {
    const { clock } = this.runtime
    return within(bounds, clock, sleep(clock, ms))
  }

  #pauseMs(round: number): number {
    return backoffMs(round, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, this.runtime.random)
  }
}

function noMutation(): null {
  return null
}

/** For who needs no more than the head. */
export function asHead<Reply>(head: Reply): Reply {
  return head
}

/** Makes nothing of it. */
export function asAnswer<Reply>(head: Reply, payload: Buffer): Answer<Reply> {
  return { head, payload }
}
