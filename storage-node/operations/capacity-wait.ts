import { asMayflyError, errorTable, isError, isOwnFault, MayflyError } from '../../protocol/errors.ts'
import type { DataReplies, DataRequests } from '../../protocol/operations/data-operations.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Waiter } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import type { CapacityRequests } from '../tiering/capacity-requests.ts'
import type { Demoter } from '../tiering/demoter.ts'
import { CAPACITY_WAIT_MS } from '../tiers/limits.ts'
import { copyKeys, enterAt, putsAt, valuesOf } from './batch.ts'

type Outcome<Result> = Result | Promise<Result>

/** A mutation as it arrived: its memory is valid until its handler returns. */
interface Arrived<Request> {
  readonly request: Request
  readonly payload: Buffer
  /** Who waits for the answer. */
  readonly waiter: Waiter
}

/** A wait for room. */
interface Bounded {
  readonly bytes: number
  readonly untilMs: number
  readonly waiter: Waiter
}

interface Attempt<Request, Result> {
  readonly arrived: Arrived<Request>
  readonly attempt: (arrived: Arrived<Request>) => Outcome<Result>
}

/**
 * Retries mutations that found no room; a failed attempt has changed nothing. If the node has no memory
 * although the job has budget, the arena is compacted first. If the job is full, it waits for demotion, and
 * if nothing can be demoted, for a larger budget. Fails with `CAPACITY_EXCEEDED` if nothing can be demoted
 * and the job gets no more, and with `UNAVAILABLE` after `CAPACITY_WAIT_MS`,
 * after which the SDK sends it again until its deadline. Once its client is gone or gives up, the wait ends and its payload is freed.
 */
export class CapacityWait {
  readonly #demoter: Demoter
  readonly #capacityRequests: CapacityRequests
  readonly #clock: Clock

  constructor({
    demotion: demoter,
    capacity: capacityRequests,
    clock,
  }: { demotion: Demoter; capacity: CapacityRequests; clock: Clock }) {
    this.#demoter = demoter
    this.#capacityRequests = capacityRequests
    this.#clock = clock
  }

  run<Request extends { readonly key: Uint8Array }, Result>(
    job: NodeJob,
    arrived: Arrived<Request>,
    attempt: (arrived: Arrived<Request>) => Outcome<Result>,
  ): Outcome<Result> {
    try {
      const outcome = attempt(arrived)
      return outcome instanceof Promise ? this.afterPending(job, outcome, { arrived, attempt }) : outcome
    } catch (error) {
      return this.afterFailure(job, error, { arrived, attempt })
    }
  }

  /** Continues a pending attempt: for callers that create an `Attempt` only if it does not finish at once. */
  afterPending<Request extends { readonly key: Uint8Array }, Result>(
    job: NodeJob,
    outcome: Promise<Result>,
    { arrived, attempt }: Attempt<Request, Result>,
  ): Promise<Result> {
    const copied = copyArrived(arrived)
    return outcome.catch((error: unknown) => this.#wait(job, error, { copied, attempt }))
  }

  /** Continues after a failed attempt. */
  afterFailure<Request extends { readonly key: Uint8Array }, Result>(
    job: NodeJob,
    failure: unknown,
    { arrived, attempt }: Attempt<Request, Result>,
  ): Promise<Result> {
    if (!isError(failure, 'CAPACITY_EXCEEDED')) throw failure
    return this.#wait(job, failure, { copied: copyArrived(arrived), attempt })
  }

  /**
   * As `BatchObjects.put`, retried for the entries that found no room. Errors while waiting apply to those
   * entries alone: others are already stored.
   */
  runMany(
    job: NodeJob,
    arrived: Arrived<DataRequests['putMany']>,
    put: (arrived: Arrived<DataRequests['putMany']>) => Outcome<Reply<DataReplies['putMany']>>,
  ): Outcome<Reply<DataReplies['putMany']>> {
    const { request, payload } = arrived
    const first = put(arrived)
    if (!(first instanceof Promise) && roomless(first.head).length === 0) return first
    const copied = { ...arrived, request: copyKeys(request), payload: Buffer.from(payload) }
    return this.#retryRoomless(job, { first, copied, put })
  }

  async #wait<Request, Result>(
    job: NodeJob,
    failure: unknown,
    retry: { copied: Arrived<Request>; attempt: (arrived: Arrived<Request>) => Outcome<Result> },
  ): Promise<Result> {
    if (!isError(failure, 'CAPACITY_EXCEEDED')) throw failure
    let error: unknown = failure
    return await this.#counted(job, retry.copied, async (wait) => {
      while (isError(error, 'CAPACITY_EXCEEDED') && (await this.#madeRoom(job, wait))) {
        try {
          return await retry.attempt(retry.copied)
        } catch (again) {
          error = again
        }
      }
      throw error
    })
  }

  async #retryRoomless(
    job: NodeJob,
    batch: {
      first: Outcome<Reply<DataReplies['putMany']>>
      copied: Arrived<DataRequests['putMany']>
      put: (arrived: Arrived<DataRequests['putMany']>) => Outcome<Reply<DataReplies['putMany']>>
    },
  ): Promise<Reply<DataReplies['putMany']>> {
    const { copied, put } = batch
    const { head } = await batch.first
    const results = Uint8Array.from(head.results)
    const versions = [...head.versions]
    const values = valuesOf(copied.request, copied.payload)
    try {
      await this.#counted(job, copied, async (wait) => {
        for (;;) {
          const left = roomless({ results })
          if (left.length === 0 || !(await this.#madeRoom(job, wait))) return
          const again = await put({ ...putsAt(copied.request, values, left), waiter: copied.waiter })
          enterAt({ results, versions }, again.head, left)
        }
      })
    } catch (error) {
      if (isOwnFault(error)) throw error
      // To a client that is gone or gave up, and asks again: they are as they were.
      const isGone = isError(error, 'ABORTED', 'CONNECTION_LOST')
      const code = isGone ? 'UNAVAILABLE' : asMayflyError(error).code
      for (const at of roomless({ results })) results[at] = errorTable[code].wire
    }
    return { head: { results, versions } }
  }

  /**
   * False where nothing can leave and the job gets no more. Throws `UNAVAILABLE` after the bound, and `ABORTED` or `CONNECTION_LOST` once nobody
   * waits any more.
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

  /** What `told` says, as long as somebody waits for it and the time is not over. */
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
    job: NodeJob,
    { payload, waiter }: Arrived<unknown>,
    task: (wait: Bounded) => Promise<Result>,
  ): Promise<Result> {
    const bytes = payload.length
    const release = job.underWay.park(bytes)
    try {
      return await task({ bytes, waiter, untilMs: this.#clock.monotonicMs() + CAPACITY_WAIT_MS })
    } finally {
      release()
    }
  }
}

function copyArrived<Request extends { readonly key: Uint8Array }>({
  request,
  payload,
  waiter,
}: Arrived<Request>): Arrived<Request> {
  return { request: { ...request, key: Buffer.from(request.key) }, payload: Buffer.from(payload), waiter }
}

/** Indexes of the entries that found no room. */
function roomless({ results }: Pick<DataReplies['putMany'], 'results'>): number[] {
  const found: number[] = []
  for (let at = 0; at < results.length; at++)
    if (results[at] === errorTable.CAPACITY_EXCEEDED.wire) found.push(at)
  return found
}
