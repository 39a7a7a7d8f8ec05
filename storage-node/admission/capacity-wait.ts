import { asMayflyError, errorTable, isError, isOwnFault, MayflyError } from '../../protocol/errors.ts'
import type { DataReplies, DataRequests } from '../../protocol/operations/data-operations.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Waiter } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { copyKeys } from '../operations/batch-keys.ts'
import { enterAt, putsAt, valuesOf } from '../operations/put-columns.ts'
import type { MutationRequest } from '../sessions/sessions.ts'
import type { CapacityRequests } from '../tiering/capacity-requests.ts'
import type { Demoter } from '../tiering/demoter.ts'
import { CAPACITY_WAIT_MS } from '../tiers/limits.ts'

export type Outcome<Result> = Result | Promise<Result>

/** A mutation as it arrived: its memory is valid until its handler returns. */
export interface MutationCall<Request> extends MutationRequest<Request> {
  readonly payload: Buffer
  /** Of the request, on the connection of `peer`. */
  readonly id: number
}

/** One stage of a mutation. */
export type Stage<Request, Result> = (call: MutationCall<Request>) => Outcome<Result>
type PutBatch = Stage<DataRequests['putMany'], Reply<DataReplies['putMany']>>

/** A wait for room. */
interface Bounded {
  readonly bytes: number
  readonly untilMs: number
  /** Who waits for the answer. */
  readonly waiter: Waiter
}

/**
 * Retries mutations that found no room; a failed attempt has changed nothing. If the node has no memory
 * although the job has budget, the arena is compacted first. If the job is full, it waits for demotion, and
 * if nothing can be demoted, for a larger budget. Fails with `CAPACITY_EXCEEDED` if nothing can be demoted
 * and the job gets no more, and with `UNAVAILABLE` after `CAPACITY_WAIT_MS`; the SDK
 * then sends it again until its deadline. The wait ends, and its payload is freed, once the client has gone or
 * given up.
 */
export class CapacityWait {
  readonly #demoter: Demoter
  readonly #capacityRequests: CapacityRequests
  readonly #clock: Clock

  constructor({
    demoter,
    capacityRequests,
    clock,
  }: { demoter: Demoter; capacityRequests: CapacityRequests; clock: Clock }) {
    this.#demoter = demoter
    this.#capacityRequests = capacityRequests
    this.#clock = clock
  }

  /** The admission stage before `next`. It allocates only if the first attempt fails or is asynchronous. */
  admit<Request extends { readonly key: Uint8Array }, Result>(
    next: Stage<Request, Result>,
  ): Stage<Request, Result> {
    return (call) => {
      try {
        const outcome = next(call)
        if (!(outcome instanceof Promise)) return outcome
        const copied = copyOf(call)
        return outcome.catch((error: unknown) => this.#wait(error, copied, next))
      } catch (error) {
        if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
        return this.#wait(error, copyOf(call), next)
      }
    }
  }

  /**
   * As `admit`, for batched puts: retries the entries that found no room. Errors while waiting apply to those
   * entries alone: others are already stored.
   */
  admitBatch(next: PutBatch): PutBatch {
    return (call) => {
      const first = next(call)
      if (!(first instanceof Promise) && roomless(first.head).length === 0) return first
      const copied = { ...call, request: copyKeys(call.request), payload: Buffer.from(call.payload) }
      return this.#retryRoomless(first, copied, next)
    }
  }

  async #wait<Request, Result>(
    failure: unknown,
    call: MutationCall<Request>,
    next: Stage<Request, Result>,
  ): Promise<Result> {
    if (!isError(failure, 'CAPACITY_EXCEEDED')) throw failure
    let error: unknown = failure
    return await this.#counted(call, async (wait) => {
      while (isError(error, 'CAPACITY_EXCEEDED') && (await this.#madeRoom(call.job, wait))) {
        try {
          return await next(call)
        } catch (again) {
          error = again
        }
      }
      throw error
    })
  }

  async #retryRoomless(
    first: Outcome<Reply<DataReplies['putMany']>>,
    call: MutationCall<DataRequests['putMany']>,
    next: PutBatch,
  ): Promise<Reply<DataReplies['putMany']>> {
    const { head } = await first
    const results = Uint8Array.from(head.results)
    const versions = Float64Array.from(head.versions)
    const values = valuesOf(call.request, call.payload)
    try {
      await this.#counted(call, async (wait) => {
        for (;;) {
          const left = roomless({ results })
          if (left.length === 0 || !(await this.#madeRoom(call.job, wait))) return
          const again = await next({ ...call, ...putsAt(call.request, values, left) })
          enterAt({ results, versions }, again.head, left)
        }
      })
    } catch (error) {
      if (isOwnFault(error)) throw error
      // The client has gone or given up. Should it ask again, these entries are unchanged.
      const isGone = isError(error, 'ABORTED', 'CONNECTION_LOST')
      const code = isGone ? 'UNAVAILABLE' : asMayflyError(error).code
      for (const at of roomless({ results })) results[at] = errorTable[code].wire
    }
    return { head: { results, versions } }
  }

  /**
   * False if nothing can be demoted and the job gets no more. Throws `UNAVAILABLE` after the bound, and `ABORTED`
   * or `CONNECTION_LOST` once the client has given up or gone.
   */
  async #madeRoom(job: NodeJob, wait: Bounded): Promise<boolean> {
    if (job.memory.takeShortage() && (await this.#compacted(job))) return true
    const left = this.#demoter.makeRoom(job)
    if (
      await this.#within(wait, left, "The job's RAM is full, and the tier below has not kept up for a while")
    )
      return true
    const asked = this.#capacityRequests.wait(job, wait.bytes)
    try {
      return await this.#within(
        wait,
        asked.told,
        'The job has filled what it reserved, and has not been given more yet',
      )
    } finally {
      asked.leave()
    }
  }

  /** Compacts the arena once, in a turn of its own. False if that frees nothing. */
  async #compacted(job: NodeJob): Promise<boolean> {
    await sleep(this.#clock, 0)
    return job.memory.arena.compact()
  }

  /** The outcome of `told`, unless the bound passes or the client gives up first. */
  async #within({ untilMs, waiter }: Bounded, told: Promise<boolean>, late: string): Promise<boolean> {
    const leftMs = untilMs - this.#clock.monotonicMs()
    return await new Promise<boolean>((resolve, reject) => {
      const timer = this.#clock.after(Math.max(0, leftMs), () => end(new MayflyError('UNAVAILABLE', late)))
      const forget = waiter.peer.whenGone(waiter.id, (reason) => end(reason))
      const end = (outcome: unknown): void => {
        timer.cancel()
        forget()
        if (typeof outcome === 'boolean') resolve(outcome)
        else reject(outcome)
      }
      told.then(end, end)
    })
  }

  async #counted<Result>(
    { job, payload, peer, id }: MutationCall<unknown>,
    task: (wait: Bounded) => Promise<Result>,
  ): Promise<Result> {
    const bytes = payload.length
    const waiter = { peer, id }
    const release = job.underWay.park(bytes)
    try {
      return await task({ bytes, waiter, untilMs: this.#clock.monotonicMs() + CAPACITY_WAIT_MS })
    } finally {
      release()
    }
  }
}

function copyOf<Request extends { readonly key: Uint8Array }>(
  call: MutationCall<Request>,
): MutationCall<Request> {
  const { request, payload } = call
  return {
    ...call,
    request: { ...request, key: Buffer.from(request.key) },
    payload: Buffer.from(payload),
  }
}

/** Indexes of the entries that found no room. */
function roomless({ results }: Pick<DataReplies['putMany'], 'results'>): number[] {
  const found: number[] = []
  for (let at = 0; at < results.length; at++)
    if (results[at] === errorTable.CAPACITY_EXCEEDED.wire) found.push(at)
  return found
}
