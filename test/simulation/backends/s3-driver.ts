import { DeleteObjectCommand, DeleteObjectsCommand, S3ServiceException } from '@aws-sdk/client-s3'
import { sleep } from '../../../protocol/runtime.ts'
import type { S3Driver } from '../../../service/s3/s3-bucket.ts'
import { EPHEMERAL_PREFIX } from '../../../service/s3/s3-settings.ts'
import type { Host } from '../world/host.ts'
import type { SeededRandom } from '../world/random.ts'
import type { Timeline } from '../world/timeline.ts'
import type { BackendFaults, Verdict } from './backend-faults.ts'
import { refusal, type S3Endpoint } from './s3-endpoint.ts'

export interface S3World {
  readonly timeline: Timeline
  readonly endpoint: S3Endpoint
  readonly faults: BackendFaults
  /** Maximum duration of a request without a fault, for persisted objects and for others. */
  readonly storeMsMax: number
  readonly tierMsMax: number
}

/** Pause before the driver retries a failed request, doubled each time. */
const RETRY_MS = 100

/** A request without an answer is carried out up to this much later, or never: its caller has given up by then and started again. */
const LATE_MS_MAX = 9_000

/** AWS's driver in a process on `host`: it retries transient failures, and a request that was sent survives the process. */
export class SimulatedS3Driver implements S3Driver {
  readonly send: S3Driver['send']
  readonly #world: S3World
  readonly #host: Host
  readonly #random: SeededRandom
  readonly #attempts: number

  constructor(
    world: S3World,
    { host, random, attempts }: { host: Host; random: SeededRandom; attempts: number },
  ) {
    this.#world = world
    this.#host = host
    this.#random = random
    this.#attempts = attempts
    this.send = ((command: unknown, { abortSignal }: { abortSignal: AbortSignal }) =>
      this.#send(command, abortSignal)) as unknown as S3Driver['send']
  }

  destroy(): void {
    // Requests under way continue.
  }

  async #send(command: unknown, signal: AbortSignal): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#sendOnce(command, signal)
      } catch (error) {
        if (attempt >= this.#attempts || signal.aborted || !isPassing(error)) throw error
      }
      await sleep(this.#host.clock, RETRY_MS * 2 ** (attempt - 1) * this.#random.fraction())
      if (signal.aborted) throw aborted()
    }
  }

  #sendOnce(command: unknown, signal: AbortSignal): Promise<unknown> {
    const { endpoint, faults, timeline } = this.#world
    const verdict = faults.verdict(this.#random)
    const wayMs = faults.delayMs(this.#random, this.#msMaxOf(command) / 2)
    const backMs = faults.delayMs(this.#random, this.#msMaxOf(command) / 2)
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(aborted()))
      const tell = (settle: () => void, inMs: number): void => {
        timeline.at(timeline.nowMs + inMs, () => this.#host.run(settle))
      }
      if (verdict === 'unsent') return tell(() => reject(failed('ECONNREFUSED')), wayMs)
      // A store that ignores the condition of a deletion is assumed to be close by: it drops a request whose caller is gone.
      const isFragile = isDeletion(command) && !endpoint.heedsDeletions
      const lateMs = verdict === 'silent' ? this.#random.fraction() * LATE_MS_MAX : 0
      const isLost = (verdict === 'silent' || verdict === 'closed') && this.#random.chance(0.5)
      timeline.at(timeline.nowMs + wayMs + lateMs, () => {
        if (isLost || (isFragile && signal.aborted)) return
        const settle = this.#carryOut(command, verdict, { resolve, reject })
        if (settle !== null) tell(settle, backMs)
      })
      if (verdict === 'closed') tell(() => reject(failed('ECONNRESET')), wayMs + backMs)
    })
  }

  /** Lets the endpoint carry a request out; returns its answer, or null if there is none. */
  #carryOut(
    command: unknown,
    verdict: Verdict,
    { resolve, reject }: { resolve: (answer: unknown) => void; reject: (error: unknown) => void },
  ): (() => void) | null {
    const { endpoint } = this.#world
    if (verdict === 'fails') {
      const error = this.#refusal()
      if (!(command instanceof DeleteObjectsCommand)) return () => reject(error)
      // A multi-object deletion reports errors per key, inside a 200.
      const { Objects = [] } = command.input.Delete ?? {}
      return () => resolve({ Errors: Objects.map(({ Key }) => ({ Key, Code: error.name })) })
    }
    try {
      const answer = endpoint.apply(command)
      if (verdict === 'fine') return () => resolve(answer)
    } catch (error) {
      if (!(error instanceof S3ServiceException)) throw error
      if (verdict === 'fine') return () => reject(error)
    }
    return verdict === 'hidden' ? () => reject(refusal(500, 'InternalError')) : null
  }

  #refusal(): S3ServiceException {
    const [status, name] = this.#random.pick([
      [403, 'AccessDenied'],
      [503, 'SlowDown'],
      [503, 'ServiceUnavailable'],
      [500, 'InternalError'],
      [409, 'ConditionalRequestConflict'],
    ] as const)
    return refusal(status, name)
  }

  #msMaxOf(command: unknown): number {
    const { Key = '', Prefix = '' } = (command as { input: { Key?: string; Prefix?: string } }).input
    const { storeMsMax, tierMsMax } = this.#world
    return `${Key}${Prefix}`.startsWith(EPHEMERAL_PREFIX) ? tierMsMax : storeMsMax
  }
}

function isDeletion(command: unknown): boolean {
  return command instanceof DeleteObjectCommand || command instanceof DeleteObjectsCommand
}

/** Whether the driver retries after this error. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return true
  const status = error.$metadata.httpStatusCode ?? 0
  return status >= 500
}

function failed(code: string): Error {
  return Object.assign(new Error(`connect or read: ${code}`), { code })
}

function aborted(): Error {
  return Object.assign(new Error('Request aborted'), { name: 'AbortError' })
}
