import type { CallerPool } from '../protocol/caller-pool.ts'
import { asMayflyError } from '../protocol/errors.ts'
import { CONTROL_CALL_MS, RETRY_MS_MAX, RETRY_MS_MIN } from '../protocol/limits.ts'
import type { Operation } from '../protocol/operation.ts'
import type { PlacedNode } from '../protocol/placement.ts'
import { backoffMs, type Runtime, sleep } from '../protocol/runtime.ts'
import type { Logger } from '../service/log.ts'

/** Brings metadata's word to nodes. */
export class Messenger {
  readonly #pool: CallerPool
  readonly #runtime: Runtime
  readonly #log: Logger

  constructor(options: { pool: CallerPool; runtime: Runtime; log: Logger }) {
    this.#pool = options.pool
    this.#runtime = options.runtime
    this.#log = options.log
  }

  /** Says it once. Rejects if the node did not confirm, or if another process is at its address now. */
  async tell<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    request: Request,
  ): Promise<void> {
    const deadlineMs = this.#runtime.clock.monotonicMs() + CONTROL_CALL_MS
    const caller = await this.#pool.to(node.address)
    const server = await caller.server
    if (server !== node.id) throw new Error(`${node.address} is ${server} now, not ${node.id}`)
    await caller.call(operation, request, { deadlineMs })
  }

  /**
   * Says it again and again until the node confirms, or until `next` gives nothing more to say. Resolves with
   * whether the node confirmed.
   */
  async tellUntilHeard<Request>(
    node: PlacedNode,
    operation: Operation<Request, unknown>,
    next: () => Request | null,
  ): Promise<boolean> {
    const { clock, random } = this.#runtime
    for (let attempt = 0; ; attempt++) {
      const request = next()
      if (request === null) return false
      try {
        await this.tell(node, operation, request)
        return true
      } catch (error) {
        if (attempt === 0)
          this.#log.warn({ node: node.id, reason: asMayflyError(error).reason }, 'a node did not hear')
      }
      await sleep(clock, backoffMs(attempt, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random))
    }
  }
}
