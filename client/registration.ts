import { isError, MayflyError } from '../protocol/errors.ts'
import type { Tier } from '../protocol/operations/data-operations.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import type { ControllerApi } from './controller-api.ts'
import { type Job, openJob } from './job.ts'
import { type CallerOptions, checkOptions, type Hints, type JobOptions, type TicketGrant } from './options.ts'
import { type PresignOptions, presignUrl, type S3Credentials, type S3Grant } from './presign.ts'
import { traceCalls } from './tracing.ts'

/** What the controller reserved for the job. */
export interface Reservation {
  /** The tier where new bytes go first. */
  readonly latencyClass: Tier
  /** Bytes on each tier. */
  readonly bytes: Readonly<Record<Tier, number>>
  /** Bytes in and out per second. */
  readonly bytesPerSecond: number
  /** The part of it on each node. */
  readonly nodes: readonly {
    readonly node: string
    readonly bytes: Readonly<Record<Tier, number>>
    readonly bytesPerSecond: number
  }[]
}

/** What the controller knows of a job. */
export interface JobInfo {
  readonly id: string
  readonly name: string
  /** Name of the API key that registered it. */
  readonly owner: string
  readonly state: 'registering' | 'active' | 'ending' | 'ended'
  readonly hints: Hints
  readonly reservation: Reservation
  /** As of the last report of its nodes, which report every second. */
  readonly usage: {
    readonly objects: number
    readonly bytes: Readonly<Record<Tier, number>>
    readonly bytesPerSecond: number
  }
  /** Of its share of the nodes, in the currency of the node classes. */
  readonly pricePerHour: number
  /** The job ends after this many seconds without use or renewal. */
  readonly leaseSeconds: number
  readonly leaseExpiresAt: Date
  readonly createdAt: Date
  /** Why it ended; undefined while it lives. */
  readonly endReason?: 'deregistered' | 'lease' | 'failed' | undefined
}

/** The driver's handle of a job. Its calls of the controller are repeated until the deadline if an answer is lost. */
export interface Registration {
  readonly id: string
  readonly name: string
  /**
   * What a function needs to open the job, valid for 24 hours. Pass it on unchanged, and protect it like the
   * data. It is not enumerable: printing the job or converting it to JSON does not show it.
   */
  readonly ticket: string
  /** As of the registration or the last `resize`. */
  readonly reservation: Reservation
  /** What the controller knows of the job now. `JOB_NOT_FOUND` some time after its end. */
  info(options?: CallerOptions): Promise<JobInfo>
  /**
   * Issues a ticket: a fresh one with all rights, or one with fewer: `{ write: false }` for readers. A running
   * function continues with it by `renewTicket`. `JOB_ENDED`.
   */
  issueTicket(grant?: TicketGrant, options?: CallerOptions): Promise<string>
  /**
   * Endpoint, access key and secret of the job for S3 clients: with all rights, or with fewer: `{ write: false }`. The
   * same rights always have the same key, which ends with the job. `UNAVAILABLE` if no S3 gateway runs, and `JOB_ENDED`.
   */
  s3Credentials(grant?: S3Grant, options?: CallerOptions): Promise<S3Credentials>
  /**
   * A URL with which a browser or curl gets or puts an object until it expires. Errors as of `s3Credentials`, and
   * `BAD_REQUEST` for a key with a part `.` or `..`, which clients would resolve.
   */
  presign(key: string, options?: PresignOptions): Promise<string>
  /** Restarts the job's lease. Use of its data does so too. `JOB_ENDED`. */
  renew(options?: CallerOptions): Promise<void>
  /**
   * Changes hints, and with them the reservation, while functions run; hints that are not named stay as they
   * are. `RESERVATION_REFUSED` if the cluster has no room: then the old reservation stays. `JOB_ENDED`.
   */
  resize(hints: Hints, options?: CallerOptions): Promise<Reservation>
  /** Ends the job. When this resolves all of its bytes are freed, and this client is closed. */
  deregister(options?: CallerOptions): Promise<void>
}

export type RegisteredJob = Job & Registration

/** A job as the HTTP API has it. */
export interface JobReply extends Omit<JobInfo, 'leaseExpiresAt' | 'createdAt'> {
  readonly leaseExpiresAt: string
  readonly createdAt: string
  readonly ticket?: string
}

export function infoOf(reply: JobReply): JobInfo {
  const { objects, bytes, bytesPerSecond } = reply.usage
  return {
    id: reply.id,
    name: reply.name,
    owner: reply.owner,
    state: reply.state,
    hints: reply.hints,
    reservation: reply.reservation,
    usage: { objects, bytes, bytesPerSecond },
    pricePerHour: reply.pricePerHour,
    leaseSeconds: reply.leaseSeconds,
    leaseExpiresAt: new Date(reply.leaseExpiresAt),
    createdAt: new Date(reply.createdAt),
    endReason: reply.endReason,
  }
}

export function pathOf(id: string): string {
  return `/v1/jobs/${encodeURIComponent(id)}`
}

/** The living jobs that the API key reaches, page by page. */
export async function listJobs(
  controller: ControllerApi,
  { name, ...bounds }: CallerOptions & { name?: string },
): Promise<JobReply[]> {
  const filter = name === undefined ? {} : { name }
  return await allOf<JobReply>('jobs', (path) => controller.repeat('GET', path, bounds), filter)
}

/** All items of a list that the controller gives page by page; `ask` gets the path of a page. */
export async function allOf<Item>(
  list: 'jobs' | 'nodes',
  ask: (path: string) => Promise<unknown>,
  filter: Readonly<Record<string, string>> = {},
): Promise<Item[]> {
  const items: Item[] = []
  for (let after = ''; ; ) {
    const query = new URLSearchParams({ ...filter, ...(after !== '' && { after }) })
    const page = (await ask(query.size === 0 ? `/v1/${list}` : `/v1/${list}?${query}`)) as Partial<
      Record<typeof list, Item[]>
    > & { next?: string }
    items.push(...(page[list] ?? []))
    if (page.next === undefined) return items
    after = page.next
  }
}

/**
 * The id of the living job with this name, for one that is no id. Throws `missing`, or `BAD_REQUEST` if several
 * have the name.
 */
async function idOfName(
  controller: ControllerApi,
  { name, missing, ...bounds }: { name: string; missing: unknown } & CallerOptions,
): Promise<string> {
  const ids = (await listJobs(controller, { name, ...bounds })).map(({ id }) => id)
  const [id] = ids
  if (id === undefined) throw missing
  if (ids.length === 1) return id
  throw new MayflyError(
    'BAD_REQUEST',
    `job: ${ids.length} jobs are named '${name}': ${ids.join(', ')}; use an id`,
  )
}

/** Runs `call` with a job's id; if no job has it as an id, with that of the job of this name. */
export async function withJobId<Result>(
  controller: ControllerApi,
  { job, ...bounds }: { job: string } & CallerOptions,
  call: (id: string) => Promise<Result>,
): Promise<Result> {
  try {
    return await call(job)
  } catch (missing) {
    if (!isError(missing, 'JOB_NOT_FOUND')) throw missing
    return await call(await idOfName(controller, { name: job, missing, ...bounds }))
  }
}

/** Opens the job of a reply with its ticket. `ends`: leaving an `await using` block ends the job. */
export async function openRegistered(
  controller: ControllerApi,
  reply: JobReply,
  { ends, ...options }: { ends: boolean } & JobOptions,
): Promise<RegisteredJob> {
  const { id, name, state, ticket } = reply
  if (ticket === undefined) throw noTicket(id, state)
  const job = await openJob(ticket, options)
  const path = pathOf(id)
  let { reservation } = reply
  let credentials: S3Credentials | undefined
  const registration: Omit<Registration, 'id' | 'name' | 'reservation'> = {
    ticket,
    async info(bounds = {}) {
      checkOptions('call', bounds)
      return infoOf((await controller.repeat('GET', path, bounds)) as JobReply)
    },
    async issueTicket(grant = {}, bounds = {}) {
      checkOptions('grant', grant)
      checkOptions('call', bounds)
      const issued = await controller.repeat('POST', `${path}/tickets`, { body: grant, ...bounds })
      return (issued as Pick<Registration, 'ticket'>).ticket
    },
    async s3Credentials(grant = {}, bounds = {}) {
      checkOptions('s3Grant', grant)
      checkOptions('call', bounds)
      const issued = await controller.repeat('POST', `${path}/s3-keys`, { body: grant, ...bounds })
      const { expiresAt, ...access } = issued as Omit<S3Credentials, 'expiresAt'> & { expiresAt: string }
      return { ...access, expiresAt: new Date(expiresAt) }
    },
    async presign(key, options = {}) {
      checkOptions('presign', options)
      const { signal, deadlineMs } = options
      credentials ??= await registration.s3Credentials({}, { signal, deadlineMs })
      const { endpoint = credentials.endpoint } = options
      const wallMs = systemRuntime.clock.wallMs()
      return presignUrl({ ...credentials, endpoint }, key, { ...options, wallMs })
    },
    async renew(bounds = {}) {
      checkOptions('call', bounds)
      await controller.repeat('POST', `${path}/renew`, bounds)
    },
    async resize(hints, bounds = {}) {
      checkOptions('hints', hints)
      checkOptions('call', bounds)
      const resized = (await controller.repeat('PATCH', path, { body: { hints }, ...bounds })) as JobReply
      reservation = resized.reservation
      return reservation
    },
    async deregister(bounds = {}) {
      checkOptions('call', bounds)
      await controller.repeat('DELETE', path, bounds)
      await job.close()
    },
  }
  if (options.tracer !== undefined) traceCalls(registration, options.tracer, { 'mayfly.job': id })
  const hidden = Object.entries(registration).map(([key, value]) => [key, { value }] as const)
  Object.defineProperties(job, {
    ...Object.fromEntries(hidden),
    name: { value: name, enumerable: true },
    reservation: { get: () => reservation, enumerable: true },
    ...(ends && { [Symbol.asyncDispose]: { value: () => registration.deregister() } }),
  })
  return job as RegisteredJob
}

/** Why the reply has none. */
export function noTicket(id: string, state: JobInfo['state']): MayflyError {
  if (state === 'registering')
    return new MayflyError('UNAVAILABLE', `The job ${id} is still being registered`)
  if (state !== 'active') return new MayflyError('JOB_ENDED', `The job ${id} has ended`)
  return new MayflyError('FORBIDDEN', `The API key may see the job ${id}, not open it`)
}
