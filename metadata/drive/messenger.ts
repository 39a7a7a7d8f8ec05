import { asMayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, RETRY_MS_MAX, RETRY_MS_MIN } from '../../protocol/limits.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { backoffMs, type Runtime, sleep } from '../../protocol/runtime.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import type { Logger } from '../../service/process/log.ts'

/** Brings metadata's word to nodes, and a job to another metadata server. */
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

  /** Says it once. Rejects if the node did not confirm, or if another process is at its address now. */
  async tell<Request, Reply>(
    node: PlacedNode,
    operation: Operation<Request, Reply>,
    request: Request,
    payload?: Buffer,
  ): Promise<Reply> {
    const deadlineMs = this.#runtime.clock.monotonicMs() + CONTROL_CALL_MS
    const caller = await this.#reach(node)
    return (await caller.call(operation, request, { deadlineMs, payload })).head
  }

  /** Says it until the node confirms, or until `next` has nothing more to say. Resolves with whether it confirmed. */
  async tellUntilHeard<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    next: () => Request | null,
  ): Promise<boolean> {
    return (await this.askUntilHeard(node, operation, next)) !== null
  }

  /** As `tellUntilHeard`, with the answer; null if there was nothing more to ask. */
  async askUntilHeard<Request, Reply>(
    node: PlacedNode,
    operation: Operation<Request, Reply>,
    next: () => Request | null,
  ): Promise<Reply | null> {
    return await this.#untilHeard(node, () => {
      const request = next()
      return request === null ? null : this.tell(node, operation, request)
    })
  }

  /** As `tellUntilHeard`, of what takes several messages: after one that was not confirmed all of them are sent again, in their order. */
  async tellAllUntilHeard<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    next: () => Iterable<{ readonly request: Request; readonly payload: Buffer }> | null,
  ): Promise<boolean> {
    const heard = await this.#untilHeard(node, () => {
      const messages = next()
      return messages === null ? null : this.#tellAll(node, operation, messages)
    })
    return heard !== null
  }

  async #tellAll<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    messages: Iterable<{ readonly request: Request; readonly payload: Buffer }>,
  ): Promise<true> {
    for (const { request, payload } of messages) await this.tell(node, operation, request, payload)
    return true
  }

  async #untilHeard<Reply>(node: PlacedNode, say: () => Promise<Reply> | null): Promise<Reply | null> {
    const { clock, random } = this.#runtime
    for (let attempt = 0; !this.#stopped; attempt++) {
      const said = say()
      if (said === null) return null
      try {
        return await said
      } catch (error) {
        if (attempt === 0)
          this.#log.warn({ node: node.id, reason: asMayflyError(error).reason }, 'a node did not hear')
      }
      await sleep(clock, backoffMs(attempt, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random))
    }
    return null
  }

  /** Tries to reach a process for as long as that is wanted. Resolves with whether it is there. */
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

  /** Gives up whatever was not heard yet. */
  stop(): void {
    this.#stopped = true
  }

  /** A connection to this very process. Rejects if it cannot be reached, or if another one is at its address now. */
  async #reach(node: PlacedNode): Promise<Caller> {
    const caller = await this.#pool.to(node.address)
    const server = await caller.server
    if (server !== node.id) throw new Error(`${node.address} is ${server} now, not ${node.id}`)
    return caller
  }
}
