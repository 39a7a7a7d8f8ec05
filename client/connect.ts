import { MayflyError } from '../protocol/errors.ts'
import { CALL_MS_DEFAULT, REQUEST_ID_BYTES } from '../protocol/limits.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { ControllerApi } from './controller-api.ts'
import { type Job, openJob } from './job.ts'
import { type CallerOptions, checkOptions, checkText } from './options.ts'
import { type Kept, remainderOf } from './persisted.ts'

/** What the driver knows of its job; all of it is optional. */
export interface Hints {
  /** True: RAM first, the default without `latencyMs`. False: the cheapest tiers that give capacity and throughput. */
  readonly latencySensitive?: boolean
  /** Only tiers on which the 99th percentile of a small get is at most so many milliseconds: 0.001 to 60,000. */
  readonly latencyMs?: number
  /** Functions at peak. */
  readonly maxFunctions?: number
  /** Bytes that the job holds at its peak. */
  readonly capacityBytes?: number
  /** Bytes in and out per second at its peak. */
  readonly peakBytesPerSecond?: number
  /**
   * How often an object is read once it is written, on average: 0 to 1,000,000, 1 if not given. The more, the more throughput
   * goes with the same capacity, where it is not given itself.
   */
  readonly readsPerObject?: number
}

/** What the controller set aside for the job. */
export interface Reservation {
  readonly latencyClass: string
  readonly bytes: Readonly<Record<string, number>>
  readonly bytesPerSecond: number
  readonly nodes: readonly {
    readonly node: string
    readonly bytes: Readonly<Record<string, number>>
    readonly bytesPerSecond: number
  }[]
}

export interface RegisterOptions extends CallerOptions {
  /** The job ends when nobody has used or renewed it for this long: 1 to 604,800, 600 if not given. */
  readonly leaseSeconds?: number
  /**
   * How long to wait in line for room, where there is none: up to 240; 0, if not given, is not at all. It comes on top of
   * the deadline.
   */
  readonly waitSeconds?: number
}

/** What a ticket grants. */
export interface TicketGrant {
  /** True if not given. */
  readonly read?: boolean
  /** True if not given. A `consume` needs both. */
  readonly write?: boolean
  /** Keys that begin so alone, in every bucket: up to 256 bytes. A listing is of these. */
  readonly prefix?: string
  /** How long: 1 to 86,400, which is what it is if not given. */
  readonly expiresInSeconds?: number
}

/** The driver's side of a job. */
export interface Registration {
  readonly id: string
  /** What a function needs to open the job: pass it on as it is, and keep it as secret as the data. */
  readonly ticket: string
  readonly reservation: Reservation
  /** A ticket with fewer rights than `ticket`, for functions that need no more. */
  issueTicket(grant?: TicketGrant): Promise<string>
  /** Keeps the job alive for another lease. Use of its data does that as well. */
  renew(): Promise<void>
  /** Ends the job: when this resolves every byte of it is gone. */
  deregister(): Promise<void>
}

export type RegisteredJob = Job & Registration

/** The controller, as a driver sees it. */
export interface Mayfly {
  /**
   * Registers a job; resolves once what it needs is set aside and the nodes that hold it are up. Fails with
   * `RESERVATION_REFUSED` if that is more than the cluster, or what the API key may have, gives.
   * `TOO_MANY_REQUESTS` means that too many registrations are under way: try again in a second. Where the answer is lost, it is asked for
   * again, and the job is registered once; one whose answer nobody took ends by itself.
   */
  registerJob(name: string, hints?: Hints, options?: RegisterOptions): Promise<RegisteredJob>
  readonly kept: Kept
}

/**
 * `url` and `apiKey` are MAYFLY_URL and MAYFLY_API_KEY of the environment where they are not given. Throws `BAD_REQUEST` where
 * `url` is no `http:` or `https:` URL, and `UNAUTHENTICATED` without a key.
 */
export async function connect(
  url: string | undefined = process.env.MAYFLY_URL,
  options: { readonly apiKey?: string } = {},
): Promise<Mayfly> {
  checkOptions('connect', options)
  const apiKey = options.apiKey ?? process.env.MAYFLY_API_KEY
  if (!url) throw new MayflyError('BAD_REQUEST', 'url: it is not given, and MAYFLY_URL is not set')
  if (!isHttpUrl(url))
    throw new MayflyError('BAD_REQUEST', `url: it is '${url}', not a URL like http://127.0.0.1:7400`)
  if (!apiKey) throw new MayflyError('UNAUTHENTICATED', 'No apiKey is given, and MAYFLY_API_KEY is not set')
  const controller = new ControllerApi(url, apiKey)
  return {
    kept: remainderOf(controller),
    registerJob: async (name, hints = {}, options = {}) => {
      checkText('name', name)
      checkOptions('hints', hints)
      checkOptions('register', options)
      const { leaseSeconds, waitSeconds = 0, deadlineMs, signal } = options
      const body = { name, hints, waitSeconds, ...(leaseSeconds === undefined ? {} : { leaseSeconds }) }
      const key = systemRuntime.random.bytes(REQUEST_ID_BYTES).toString('hex')
      const { id, ticket, reservation } = (await controller.repeat('POST', '/v1/jobs', {
        body,
        headers: { 'idempotency-key': key },
        deadlineMs: (deadlineMs ?? CALL_MS_DEFAULT) + waitSeconds * 1000,
        ...(signal === undefined ? {} : { signal }),
      })) as Registered
      const path = `/v1/jobs/${id}`
      const job = await openJob(ticket)
      const registration: Registration = {
        id,
        ticket,
        reservation,
        issueTicket: async (grant = {}) => {
          const issued = await controller.repeat('POST', `${path}/tickets`, { body: grant })
          return (issued as Pick<Registration, 'ticket'>).ticket
        },
        renew: async () => void (await controller.repeat('POST', `${path}/renew`)),
        deregister: async () => {
          await controller.repeat('DELETE', path)
          await job.close()
        },
      }
      return Object.assign(job, registration)
    },
  }
}

function isHttpUrl(url: string): boolean {
  try {
    return /^https?:$/.test(new URL(url).protocol)
  } catch {
    return false
  }
}

type Registered = Pick<Registration, 'id' | 'ticket' | 'reservation'>
