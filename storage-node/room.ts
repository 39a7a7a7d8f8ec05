import type { DataReplies, DataRequests } from '../protocol/data-operations.ts'
import { errorTable, isError, MayflyError } from '../protocol/errors.ts'
import { type Clock, sleep } from '../protocol/runtime.ts'
import type { Reply } from '../service/responder.ts'
import type { Demotion } from './demotion.ts'
import type { JobSpace } from './job-space.ts'
import { enterAt, keepMany, putsAt, valuesOf } from './many.ts'
import { ROOM_WAIT_MS, ROOM_WAITING_BYTES_MAX } from './tier-limits.ts'

type Outcome<Result> = Result | Promise<Result>

/** A mutation as it arrived: its memory is valid until its handler returns. */
interface Arrived<Request> {
  readonly request: Request
  readonly payload: Buffer
}

/**
 * Mutations of jobs whose objects leave RAM for lower tiers; those of others go straight on. One that finds no room waits until some have left, and is tried again:
 * it had changed nothing. It fails with `CAPACITY_EXCEEDED` only when nothing can leave, and with `UNAVAILABLE` after `ROOM_WAIT_MS`.
 */
export class Room {
  readonly #demotion: Demotion
  readonly #clock: Clock
  #waitingBytes = 0

  constructor(demotion: Demotion, clock: Clock) {
    this.#demotion = demotion
    this.#clock = clock
  }

  find<Request extends { readonly key: Uint8Array }, Result>(
    job: JobSpace,
    arrived: Arrived<Request>,
    attempt: (of: Arrived<Request>) => Outcome<Result>,
  ): Outcome<Result> {
    if (!job.spills) return attempt(arrived)
    try {
      const outcome = attempt(arrived)
      if (!(outcome instanceof Promise)) return outcome
      const kept = keep(arrived)
      return outcome.catch((error: unknown) => this.#wait(job, error, { kept, attempt }))
    } catch (error) {
      return this.#wait(job, error, { kept: keep(arrived), attempt })
    }
  }

  /** As `ManyObjects.put`, again for those of many puts that found no room. */
  findMany(
    job: JobSpace,
    { request, payload }: Arrived<DataRequests['putMany']>,
    put: (of: Arrived<DataRequests['putMany']>) => Outcome<Reply<DataReplies['putMany']>>,
  ): Outcome<Reply<DataReplies['putMany']>> {
    const first = put({ request, payload })
    if (!job.spills || (!(first instanceof Promise) && roomless(first.head).length === 0)) return first
    const kept = { request: keepMany(request), payload: Buffer.from(payload) }
    return this.#fillIn(job, { first, kept, put })
  }

  async #wait<Request, Result>(
    job: JobSpace,
    failure: unknown,
    to: { kept: Arrived<Request>; attempt: (of: Arrived<Request>) => Outcome<Result> },
  ): Promise<Result> {
    let error = failure
    return await this.#waiting(to.kept.payload.length, async (untilMs) => {
      while (isError(error, 'CAPACITY_EXCEEDED') && (await this.#hasMade(job, untilMs))) {
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
    job: JobSpace,
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
    await this.#waiting(kept.payload.length, async (untilMs) => {
      for (;;) {
        const left = roomless({ results })
        if (left.length === 0 || !(await this.#hasMade(job, untilMs))) return
        const again = await put(putsAt(kept.request, values, left))
        enterAt({ results, versions }, again.head, left)
      }
    })
    return { head: { results, versions } }
  }

  /** False where nothing can leave. Throws `UNAVAILABLE` after the bound. */
  async #hasMade(job: JobSpace, untilMs: number): Promise<boolean> {
    const leftMs = untilMs - this.#clock.monotonicMs()
    const made = leftMs > 0 ? await Promise.race([this.#demotion.makeRoom(job), this.#late(leftMs)]) : 'late'
    if (made !== 'late') return made
    throw new MayflyError(
      'UNAVAILABLE',
      `The job's RAM is full, and the tier below has not kept up for a while`,
    )
  }

  async #late(ms: number): Promise<'late'> {
    await sleep(this.#clock, ms)
    return 'late'
  }

  async #waiting<Result>(bytes: number, task: (untilMs: number) => Promise<Result>): Promise<Result> {
    if (this.#waitingBytes + bytes > ROOM_WAITING_BYTES_MAX)
      throw new MayflyError('UNAVAILABLE', `${this.#waitingBytes} bytes of puts wait for room on the node`)
    this.#waitingBytes += bytes
    try {
      return await task(this.#clock.monotonicMs() + ROOM_WAIT_MS)
    } finally {
      this.#waitingBytes -= bytes
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
