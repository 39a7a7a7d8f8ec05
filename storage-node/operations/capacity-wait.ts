import { asMayflyError, errorTable, isError, isOwnFault, MayflyError } from '../../protocol/errors.ts'
import type { DataReplies, DataRequests } from '../../protocol/operations/data-operations.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { NodeJob } from '../job/job.ts'
import type { CapacityRequests } from '../tiering/capacity-requests.ts'
import type { Demoter } from '../tiering/demoter.ts'
import { ROOM_WAIT_MS } from '../tiers/limits.ts'
import { enterAt, keepMany, putsAt, valuesOf } from './batch.ts'

type Outcome<Result> = Result | Promise<Result>

/** A mutation as it arrived: its memory is valid until its handler returns. */
interface Arrived<Request> {
  readonly request: Request
  readonly payload: Buffer
}

interface Attempt<Request, Result> {
  readonly arrived: Arrived<Request>
  readonly attempt: (of: Arrived<Request>) => Outcome<Result>
}

/**
 * Mutations that take room. One that finds no memory, though its job may have more, waits while records are moved together. One whose job is full waits until objects have left RAM for a lower tier, or, where nothing can leave, until the job may
 * have more, and is tried again: it had changed nothing. It fails with `CAPACITY_EXCEEDED` only when nothing can leave and the job gets no
 * more, and with `UNAVAILABLE` after `ROOM_WAIT_MS`.
 */
export class CapacityWait {
  readonly #demotion: Demoter
  readonly #capacity: CapacityRequests
  readonly #clock: Clock

  constructor({
    demotion,
    capacity,
    clock,
  }: { demotion: Demoter; capacity: CapacityRequests; clock: Clock }) {
    this.#demotion = demotion
    this.#capacity = capacity
    this.#clock = clock
  }

  find<Request extends { readonly key: Uint8Array }, Result>(
    job: NodeJob,
    arrived: Arrived<Request>,
    attempt: (of: Arrived<Request>) => Outcome<Result>,
  ): Outcome<Result> {
    try {
      const outcome = attempt(arrived)
      return outcome instanceof Promise ? this.follow(job, outcome, { arrived, attempt }) : outcome
    } catch (error) {
      return this.after(job, error, { arrived, attempt })
    }
  }

  /** Goes on with an attempt that is under way: for those who make an `Attempt` only where it is not over at once. */
  follow<Request extends { readonly key: Uint8Array }, Result>(
    job: NodeJob,
    outcome: Promise<Result>,
    { arrived, attempt }: Attempt<Request, Result>,
  ): Promise<Result> {
    const kept = keep(arrived)
    return outcome.catch((error: unknown) => this.#wait(job, error, { kept, attempt }))
  }

  /** Goes on with an attempt that has failed. */
  after<Request extends { readonly key: Uint8Array }, Result>(
    job: NodeJob,
    failure: unknown,
    { arrived, attempt }: Attempt<Request, Result>,
  ): Promise<Result> {
    if (!isError(failure, 'CAPACITY_EXCEEDED')) throw failure
    return this.#wait(job, failure, { kept: keep(arrived), attempt })
  }

  /**
   * As `BatchObjects.put`, again for those of many puts that found no room. What keeps them waiting is their own error: others of the message
   * are stored by then.
   */
  findMany(
    job: NodeJob,
    { request, payload }: Arrived<DataRequests['putMany']>,
    put: (of: Arrived<DataRequests['putMany']>) => Outcome<Reply<DataReplies['putMany']>>,
  ): Outcome<Reply<DataReplies['putMany']>> {
    const first = put({ request, payload })
    if (!(first instanceof Promise) && roomless(first.head).length === 0) return first
    const kept = { request: keepMany(request), payload: Buffer.from(payload) }
    return this.#fillIn(job, { first, kept, put })
  }

  async #wait<Request, Result>(
    job: NodeJob,
    failure: unknown,
    to: { kept: Arrived<Request>; attempt: (of: Arrived<Request>) => Outcome<Result> },
  ): Promise<Result> {
    if (!isError(failure, 'CAPACITY_EXCEEDED')) throw failure
    let error: unknown = failure
    const { length } = to.kept.payload
    return await this.#waiting(job, length, async (untilMs) => {
      while (isError(error, 'CAPACITY_EXCEEDED') && (await this.#hasMade(job, length, untilMs))) {
        try {
          return await to.attempt(to.kept)
        } catch (again) {
          error = again
        }
      }
      throw error
    })
  }

  async #fillIn(
    job: NodeJob,
    of: {
      first: Outcome<Reply<DataReplies['putMany']>>
      kept: Arrived<DataRequests['putMany']>
      put: (of: Arrived<DataRequests['putMany']>) => Outcome<Reply<DataReplies['putMany']>>
    },
  ): Promise<Reply<DataReplies['putMany']>> {
    const { kept, put } = of
    const { head } = await of.first
    const results = Uint8Array.from(head.results)
    const versions = [...head.versions]
    const values = valuesOf(kept.request, kept.payload)
    try {
      await this.#waiting(job, kept.payload.length, async (untilMs) => {
        for (;;) {
          const left = roomless({ results })
          if (left.length === 0 || !(await this.#hasMade(job, kept.payload.length, untilMs))) return
          const again = await put(putsAt(kept.request, values, left))
          enterAt({ results, versions }, again.head, left)
        }
      })
    } catch (error) {
      if (isOwnFault(error)) throw error
      for (const at of roomless({ results })) results[at] = errorTable[asMayflyError(error).code].wire
    }
    return { head: { results, versions } }
  }

  /** False where nothing can leave and the job gets no more. Throws `UNAVAILABLE` after the bound. */
  async #hasMade(job: NodeJob, bytes: number, untilMs: number): Promise<boolean> {
    if (job.memory.takeShortage() && (await this.#hasCompacted(job))) return true
    const made = await this.#within(untilMs, () => this.#demotion.makeRoom(job))
    if (made === 'late')
      throw new MayflyError(
        'UNAVAILABLE',
        "The job's RAM is full, and the tier below has not kept up for a while",
      )
    if (made) return true
    const given = await this.#within(untilMs, () => this.#capacity.wait(job, bytes))
    if (given === 'late')
      throw new MayflyError(
        'UNAVAILABLE',
        'The job has filled what it reserved, and has not been given more yet',
      )
    return given
  }

  /** Closes holes that removed records have left: one step, with the event loop's turn before it. False where that frees nothing. */
  async #hasCompacted(job: NodeJob): Promise<boolean> {
    await sleep(this.#clock, 0)
    return job.memory.arena.compact()
  }

  async #within(untilMs: number, task: () => Promise<boolean>): Promise<boolean | 'late'> {
    const leftMs = untilMs - this.#clock.monotonicMs()
    if (leftMs <= 0) return 'late'
    return await new Promise((resolve, reject) => {
      const timer = this.#clock.after(leftMs, () => resolve('late'))
      task()
        .finally(() => timer.cancel())
        .then(resolve, reject)
    })
  }

  async #waiting<Result>(
    job: NodeJob,
    bytes: number,
    task: (untilMs: number) => Promise<Result>,
  ): Promise<Result> {
    const release = job.underWay.park(bytes)
    try {
      return await task(this.#clock.monotonicMs() + ROOM_WAIT_MS)
    } finally {
      release()
    }
  }
}

function keep<Request extends { readonly key: Uint8Array }>({
  request,
  payload,
}: Arrived<Request>): Arrived<Request> {
  return { request: { ...request, key: Buffer.from(request.key) }, payload: Buffer.from(payload) }
}

/** Which of many puts found no room. */
function roomless({ results }: Pick<DataReplies['putMany'], 'results'>): number[] {
  const found: number[] = []
  for (let at = 0; at < results.length; at++)
    if (results[at] === errorTable.CAPACITY_EXCEEDED.wire) found.push(at)
  return found
}
