import { asMayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, RETRY_MS_MAX, RETRY_MS_MIN } from '../../protocol/limits.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { backoffMs, type Runtime, sleep } from '../../protocol/runtime.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import type { Logger } from '../../service/process/log.ts'
import { callContexts } from '../../service/tracing/call-contexts.ts'

/** Sends requests to nodes and to other metadata servers, once or until they are confirmed. */
export class Messenger {
  readonly #pool: CallerPool
  readonly #runtime: Runtime
  readonly #log: Logger
  #stopped = false

  constructor(options: { pool: CallerPool; runtime: Runtime; log: Logger }) {
    this.#pool = options.pool
    this.#runtime = options.runtime
    this.#log = options.log
  }

  /** Sends a request once. Rejects if the node does not confirm, or if another process has its address now. */
  async send<Request, Reply>(
    node: PlacedNode,
    operation: Operation<Request, Reply>,
    request: Request,
    payload?: Buffer,
  ): Promise<Reply> {
    const deadlineMs = this.#runtime.clock.monotonicMs() + CONTROL_CALL_MS
    const caller = await this.#reach(node)
    return (await caller.call(operation, request, { deadlineMs, payload, context: callContexts.getStore() }))
      .head
  }

  /**
   * Sends the current request of `next` until the node confirms or `next` returns null. Resolves with whether it confirmed. Rejects with
   * an error that is no use to repeat, by `isRefusal`.
   */
  async sendUntilConfirmed<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    next: () => Request | null,
    isRefusal?: (error: unknown) => boolean,
  ): Promise<boolean> {
    return (await this.callUntilConfirmed(node, operation, next, isRefusal)) !== null
  }

  /** As `sendUntilConfirmed`, with the reply; null if `next` returned null. */
  async callUntilConfirmed<Request, Reply>(
    node: PlacedNode,
    operation: Operation<Request, Reply>,
    next: () => Request | null,
    isRefusal?: (error: unknown) => boolean,
  ): Promise<Reply | null> {
    const send = (): Promise<Reply> | null => {
      const request = next()
      return request === null ? null : this.send(node, operation, request)
    }
    return await this.#untilConfirmed(node, send, isRefusal)
  }

  /** As `sendUntilConfirmed`, for several messages: if one is not confirmed, all are sent again in order. */
  async sendAllUntilConfirmed<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    next: () => Iterable<{ readonly request: Request; readonly payload: Buffer }> | null,
  ): Promise<boolean> {
    const confirmed = await this.#untilConfirmed(node, () => {
      const messages = next()
      return messages === null ? null : this.#sendAll(node, operation, messages)
    })
    return confirmed !== null
  }

  async #sendAll<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    messages: Iterable<{ readonly request: Request; readonly payload: Buffer }>,
  ): Promise<true> {
    for (const { request, payload } of messages) await this.send(node, operation, request, payload)
    return true
  }

  async #untilConfirmed<Reply>(
    node: PlacedNode,
    send: () => Promise<Reply> | null,
    isRefusal: (error: unknown) => boolean = () => false,
  ): Promise<Reply | null> {
    const { clock, random } = this.#runtime
    for (let attempt = 0; !this.#stopped; attempt++) {
      const sent = send()
      if (sent === null) return null
      try {
        return await sent
      } catch (error) {
        if (isRefusal(error)) throw error
        if (attempt === 0)
          this.#log.warn(
            { node: node.id, reason: asMayflyError(error).reason },
            'a node did not confirm a message',
          )
      }
      await sleep(clock, backoffMs(attempt, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random))
    }
    return null
  }

  /** Retries to connect to a process while `isWanted`. Resolves with whether it was reached. */
  async reachWhile(node: PlacedNode, isWanted: () => boolean): Promise<boolean> {
    while (!this.#stopped && isWanted()) {
      const isThere = await this.#reach(node).then(
        () => true,
        () => false,
      )
      if (isThere) return true
      await sleep(this.#runtime.clock, RETRY_MS_MAX)
    }
    return false
  }

  /** Gives up all requests that are not confirmed yet. */
  stop(): void {
    this.#stopped = true
  }

  /** A connection to this very process. Rejects if it cannot be reached, or if another process has its address now. */
  async #reach(node: PlacedNode): Promise<Caller> {
    const caller = await this.#pool.to(node.address)
    const server = await caller.server
    if (server !== node.id) throw new Error(`${node.address} is ${server} now, not ${node.id}`)
    return caller
  }
}
