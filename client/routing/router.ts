import { assert } from '../../protocol/assert.ts'
import { asMayflyError, isError, MayflyError } from '../../protocol/errors.ts'
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
import type { JobOptions } from '../options.ts'
import { type Deadline, within } from './deadline.ts'
import { FastPath, isTransient, isUnreachable } from './fast-path.ts'
import { nameOf, withKey } from './key-address.ts'
import { Lanes } from './lanes.ts'
import { locateMetadata } from './locate-metadata.ts'
import { type FailedAttempt, Mutation } from './mutation.ts'
import type { Finish, RoutedCall, RoutedMutation } from './routed-call.ts'
import { dialOf } from './trust.ts'
import type { World } from './world.ts'

/** A node of the current placement, and a connection to it. */
interface At {
  readonly caller: Caller
  readonly placement: Placement
  readonly owner: PlacedNode
}

type Attempt<Result> = (caller: Caller, placement: Placement, owner: PlacedNode) => Promise<Result>

/** A failed attempt, and the placement known at that time. */
interface Failed {
  readonly placement: Placement
  readonly failure: unknown
}

/** No slot, in a request for a placement. */
const ANY_SLOT = 0xffff

/**
 * Routes calls to the node that owns their slot. It has one placement of the job, initially from the ticket,
 * and asks metadata for a newer one only if a node does not own a slot or cannot be reached.
 */
export class Router {
  readonly runtime: Runtime
  #ticket: Ticket
  /** Last known address of the job's metadata server. */
  #metadata: string
  readonly #pool: CallerPool
  readonly #sequencers = new Map<string, Lanes>()
  #placement: Placement
  #refreshing: Promise<void> | null = null
  readonly #onRetry: JobOptions['onRetry']

  constructor(ticket: Ticket, options: World & Pick<JobOptions, 'ca' | 'onRetry'>) {
    const { runtime, onRetry } = options
    const dial = dialOf(ticket, options.dial, options.ca)
    this.#onRetry = onRetry
    this.runtime = runtime
    this.#ticket = ticket
    this.#metadata = ticket.metadata
    this.#placement = ticket.placement
    this.#pool = new CallerPool({ dial, runtime, token: () => this.#ticket.token })
  }

  get placement(): Placement {
    return this.#placement
  }

  /**
   * Continues with another ticket of the same job over the open connections. Throws `BAD_REQUEST` for another
   * job's.
   */
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

  /** Reads from the owner of the hash's slot, following moves; repeats if the answer is lost. */
  call<Request, Reply>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request>,
  ): Promise<Answer<Reply>> {
    return this.read(operation, call, asAnswer)
  }

  /** As `call`, with the result of `finish`. */
  read<Request, Reply, Result>(
    operation: Operation<Request, Reply>,
    call: RoutedCall<Request>,
    finish: Finish<Reply, Result>,
  ): Promise<Result> {
    const attempt: Attempt<Answer<Reply>> = (caller, { epoch }) =>
      caller.call(operation, call.request({ epoch, lane: 0, sequence: 0 }), call)
    return this.#send(operation, call, { finish, attempt, begin: noMutation })
  }

  /** Runs a mutation at the owner of the hash's slot: once, not at all, or `OUTCOME_UNKNOWN`. */
  mutate<Request, Reply, Result>(
    operation: Operation<Request, Reply>,
    call: RoutedMutation<Request>,
    finish: Finish<Reply, Result>,
  ): Promise<Result> {
    const attempt: Attempt<Answer<Reply>> = (caller, placement, owner) =>
      this.mutateAt({ caller, placement, owner }, operation, call)
    return this.#send(operation, call, { finish, attempt, begin: (at) => this.#begin(at, operation, call) })
  }

  /** Sends a mutation to one node, and repeats it there alone if the answer is lost. */
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
   * Runs `attempt` against the owner of `slot` until it succeeds, fails permanently, or the deadline passes:
   * with a newer placement if the node is not the owner, again if it could not be reached. `failed` is the
   * first attempt, if already made.
   */
  async retry<Result>(
    bounds: Deadline & { readonly failed?: Failed | null; readonly key?: Uint8Array },
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
        if (!isTransient(error) && !isUnreachable(error)) throw error
        failure = error
        this.#tell({ attempt: round + 1, error, address: owner?.address, key: bounds.key })
      }
      const question = { known: owner === null ? 0 : placement.epoch, slot }
      const after = { ...bounds, failure }
      const newer = this.#refresh(after, question).then(() =>
        this.#placement.epoch === placement.epoch ? this.#pause(bounds, round, failure) : undefined,
      )
      // Another server may have the address of a node that has ended; whether it has, metadata knows.
      const isElsewhere = owner === null || isError(failure, 'STALE_PLACEMENT', 'TLS_FAILED')
      // An unreachable or refusing node may recover before metadata has a newer placement.
      await (isElsewhere ? newer : Promise.race([newer, this.#sleep(after, this.#pauseMs(round))]))
    }
  }

  /** Sends a request about the job to metadata, following transfers of the job. */
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
        // The job may have been transferred again; a long chain is followed at a bounded rate.
        if (round === 0) continue
      } catch (error) {
        if (!isUnreachable(error)) throw error
        failure = error
        const known = this.#metadata
        this.#tell({ attempt: round + 1, error, address: known })
        await within(bounds, this.runtime.clock, this.#locateMetadata())
        if (isError(error, 'TLS_FAILED') && this.#metadata === known) throw error
      }
      await this.#pause(bounds, round, failure)
    }
  }

  /**
   * Reconnects to the node that a mutation was sent to. Rejects if another process has its address, metadata
   * no longer knows it, or it cannot be reached in time.
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
        if (!isUnreachable(error)) throw error
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
   * Rejects with `STALE_PLACEMENT` if another process has the node's address: sequences belong to one
   * process.
   */
  async #verify(caller: Caller, node: PlacedNode, bounds: Deadline): Promise<void> {
    const server = caller.serverId ?? (await within(bounds, this.runtime.clock, caller.server))
    if (server === node.id) return
    throw new MayflyError('STALE_PLACEMENT', `At ${node.address} there is ${server} now, not ${node.id}`)
  }

  /** Sends at once if the connection to the owner is open; otherwise, and after a failure, uses `attempt`. */
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
    if (at === null)
      return slowly(null).then(
        ({ head, payload }) => finish(head, payload),
        (error: unknown) => Promise.reject(withKey(error, call.key)),
      )
    const { caller, placement } = at
    return new Promise((resolve, reject) => {
      const mutation = begin(at)
      const quick = new FastPath({
        finish,
        slowly: (failure) => slowly({ placement, failure }),
        resolve,
        reject,
        key: call.key,
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
      tell: this.#tell,
    })
  }

  /** The owner of a slot, if a connection to it is open and its handshake is done. */
  #openAt(slot: number): At | null {
    const placement = this.#placement
    const owner = ownerOf(placement, slot)
    const caller = owner === null ? null : this.#pool.openTo(owner.address)
    if (owner === null || caller === null || caller.serverId !== owner.id) return null
    return { caller, placement, owner }
  }

  get ticket(): Ticket {
    return this.#ticket
  }

  /** The hook runs in a microtask of its own: what it throws is its program's uncaught exception, as of a timer. */
  readonly #tell = (failed: FailedAttempt): void => {
    const hook = this.#onRetry
    if (hook === undefined) return
    const { attempt, address, key } = failed
    const error = asMayflyError(failed.error)
    queueMicrotask(() => hook({ attempt, error, address: address ?? null, key: key ? nameOf(key) : null }))
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

  /** The open connection itself, so that the usual call does not wait. */
  #connection(address: string, bounds: Deadline): Caller | Promise<Caller> {
    const caller = this.#pool.to(address)
    return caller instanceof Promise ? within(bounds, this.runtime.clock, caller) : caller
  }

  /**
   * Waits for a newer placement, or for metadata's answer that there is none yet. Concurrent calls share one
   * request; if it fails, each continues on its own deadline.
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
      await this.#locateMetadata()
    }
  }

  /** Another process may be the metadata server by now, at another address. */
  async #locateMetadata(): Promise<void> {
    const of = { job: this.#ticket.job, nodes: this.#placement.nodes, known: this.#metadata }
    this.#metadata =
      (await locateMetadata(of, { pool: this.#pool, clock: this.runtime.clock })) ?? this.#metadata
  }

  async #pause(bounds: Deadline, round: number, cause: unknown): Promise<void> {
    const ms = this.#pauseMs(round)
    if (this.runtime.clock.monotonicMs() + ms >= bounds.deadlineMs) {
      if (isError(cause, 'TLS_FAILED')) throw cause
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

/** For callers that need only the head. */
export function asHead<Reply>(head: Reply): Reply {
  return head
}

/** Returns head and payload unchanged. */
export function asAnswer<Reply>(head: Reply, payload: Buffer): Answer<Reply> {
  return { head, payload }
}
