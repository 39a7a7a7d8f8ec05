import { MayflyError } from '../protocol/errors.ts'
import { CALL_MS_DEFAULT, REQUEST_ID_BYTES } from '../protocol/limits.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { ControllerApi } from './controller-api.ts'
import { type Job, openJob } from './job.ts'
import { type CallerOptions, checkOptions, checkText } from './options.ts'
import { type Kept, remainderOf } from './persisted.ts'

/** What the driver knows of its job; all optional. */
export interface Hints {
  /**
   * True: RAM first, the default without `latencyMs`. False: the cheapest tiers with the capacity and
   * throughput.
   */
  readonly latencySensitive?: boolean
  /** Only tiers on which the 99th percentile of a small get takes at most this many ms: 0.001 to 60,000. */
  readonly latencyMs?: number
  /** Concurrent functions at the peak. */
  readonly maxFunctions?: number
  /** Bytes stored at the peak. */
  readonly capacityBytes?: number
  /** Bytes in and out per second at the peak. */
  readonly peakBytesPerSecond?: number
  /**
   * Average reads of an object after it is written: 0 to 1,000,000, 1 if not given. Higher values mean more
   * throughput for the same capacity, unless `peakBytesPerSecond` is given.
   */
  readonly readsPerObject?: number
}

/** What the controller reserved for the job. */
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
  /** The job ends after this many seconds without use or renewal: 1 to 604,800, 600 if not given. */
  readonly leaseSeconds?: number
  /**
   * Seconds to queue for capacity if there is none: up to 240; 0, the default, fails at once. Added to the
   * deadline.
   */
  readonly waitSeconds?: number
}

/** The rights of a ticket. */
export interface TicketGrant {
  /** True if not given. */
  readonly read?: boolean
  /** True if not given. `consume` needs both rights. */
  readonly write?: boolean
  /**
   * Restricts the ticket to keys with this prefix, in every bucket: up to 256 bytes. Listings return only
   * such keys.
   */
  readonly prefix?: string
  /** Lifetime in seconds: 1 to 86,400, which is the default. */
  readonly expiresInSeconds?: number
}

/** The driver's handle of a job. */
export interface Registration {
  readonly id: string
  /** What a function needs to open the job. Pass it on unchanged, and protect it like the data. */
  readonly ticket: string
  readonly reservation: Reservation
  /** Issues a ticket with fewer rights than `ticket`. */
  issueTicket(grant?: TicketGrant): Promise<string>
  /** Extends the job's lease. Use of its data does so too. */
  renew(): Promise<void>
  /** Ends the job. When this resolves all of its bytes are freed. */
  deregister(): Promise<void>
}

export type RegisteredJob = Job & Registration

/** The driver's client of the controller. */
export interface Mayfly {
  /**
   * Registers a job; resolves once its capacity is reserved and its nodes are running. Fails with
   * `RESERVATION_REFUSED` if that exceeds the cluster or the API key's quota, and with `TOO_MANY_REQUESTS` if
   * too many registrations are in progress: try again in a second. A lost answer is requested again, and the
   * job is registered once; a job whose answer no client received ends by itself.
   */
  registerJob(name: string, hints?: Hints, options?: RegisterOptions): Promise<RegisteredJob>
  readonly kept: Kept
}

/**
 * `url` and `apiKey` default to MAYFLY_URL and MAYFLY_API_KEY of the environment. Throws `BAD_REQUEST` unless `url`
 * is an `http:` or `https:` URL, and `UNAUTHENTICATED` without a key.
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
