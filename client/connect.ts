import { MayflyError } from '../protocol/errors.ts'
import { CALL_MS_DEFAULT, REQUEST_ID_BYTES } from '../protocol/limits.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { ControllerApi } from './controller-api.ts'
import { type CallerOptions, checkOptions, checkText, type Hints, type JobOptions } from './options.ts'
import { type Kept, remainderOf } from './persisted.ts'
import {
  infoOf,
  type JobInfo,
  type JobReply,
  listJobs,
  openRegistered,
  pathOf,
  type RegisteredJob,
  withJobId,
} from './registration.ts'
import { callContext, contextIn } from './routing/deadline.ts'
import { caOf } from './routing/trust.ts'
import { traceCalls } from './tracing.ts'

export interface ConnectOptions extends Pick<JobOptions, 'ca' | 'onRetry' | 'tracer'> {
  /** `MAYFLY_API_KEY` of the environment if not given. */
  readonly apiKey?: string | undefined
}

export interface RegisterOptions extends CallerOptions {
  /** The job ends after this many seconds without use or renewal: 1 to 604,800, 600 if not given. */
  readonly leaseSeconds?: number | undefined
  /**
   * Seconds to queue for capacity if there is none: up to 240; 0, the default, fails at once. Added to the
   * deadline.
   */
  readonly waitSeconds?: number | undefined
}

/** The driver's client of the controller. It has no connection to close. */
export interface Mayfly {
  /**
   * Registers a job; resolves once its capacity is reserved and its nodes are running. Fails with
   * `RESERVATION_REFUSED` if that exceeds the cluster or the API key's quota, and with `TOO_MANY_REQUESTS` if
   * too many registrations are in progress: try again in a second. If an answer is lost, or the controller ends
   * meanwhile, the same request is sent again until the deadline, with the same `Idempotency-Key`: the job is registered
   * once. A job whose answer no client received ends by itself. `await using job = await mayfly.registerJob(…)`
   * deregisters it at the end of the block.
   */
  registerJob(name: string, hints?: Hints, options?: RegisterOptions): Promise<RegisteredJob>
  /**
   * Opens a job that another process registered, by its id, or by its name if exactly one living job has it. With `await using` the client is
   * closed at the end of the block, and the job continues. `JOB_NOT_FOUND`, `JOB_ENDED`, `FORBIDDEN` with a viewer's key, and `BAD_REQUEST` if
   * several jobs have the name.
   */
  job(idOrName: string, options?: CallerOptions): Promise<RegisteredJob>
  /** The jobs that have not ended, in no order; for a driver's key its own. */
  jobs(options?: CallerOptions): Promise<JobInfo[]>
  readonly kept: Kept
}

/**
 * `url` and `apiKey` default to `MAYFLY_URL` and `MAYFLY_API_KEY` of the environment. `ca`, `onRetry` and `tracer`
 * are also those of the jobs it opens. `url` may be several, separated by commas: of those processes one is the controller.
 * Throws `BAD_REQUEST` unless each is an `http:` or `https:` URL, and `UNAUTHENTICATED` without a
 * key.
 */
export async function connect(
  url: string | undefined = process.env.MAYFLY_URL,
  options: ConnectOptions = {},
): Promise<Mayfly> {
  checkOptions('connect', options)
  const { apiKey = process.env.MAYFLY_API_KEY, ...hooks } = options
  if (!url) throw new MayflyError('BAD_REQUEST', 'url: it is not given, and MAYFLY_URL is not set')
  checkText('url', url)
  if (!url.split(',').every(isHttpUrl))
    throw new MayflyError('BAD_REQUEST', `url: it is '${url}', not a URL like http://127.0.0.1:7400`)
  if (!apiKey) throw new MayflyError('UNAUTHENTICATED', 'No apiKey is given, and MAYFLY_API_KEY is not set')
  const controller = new ControllerApi(url, apiKey, { ca: caOf(hooks.ca), onRetry: hooks.onRetry })
  const mayfly: Mayfly = {
    kept: remainderOf(controller),
    async registerJob(name, hints = {}, options = {}) {
      checkText('name', name)
      checkOptions('hints', hints)
      checkOptions('register', options)
      const { leaseSeconds, waitSeconds = 0, deadlineMs, signal } = options
      const body = { name, hints, waitSeconds, ...(leaseSeconds === undefined ? {} : { leaseSeconds }) }
      const key = systemRuntime.random.bytes(REQUEST_ID_BYTES).toString('hex')
      const reply = await controller.repeat('POST', '/v1/jobs', {
        body,
        headers: { 'idempotency-key': key },
        deadlineMs: (deadlineMs ?? CALL_MS_DEFAULT) + waitSeconds * 1000,
        signal,
        [callContext]: contextIn(options),
      })
      return await openRegistered(controller, reply as JobReply, { ends: true, ...hooks })
    },
    async job(idOrName, options = {}) {
      checkText('idOrName', idOrName)
      checkOptions('call', options)
      const reply = await withJobId(controller, { job: idOrName, ...options }, (id) =>
        controller.repeat('GET', pathOf(id), options),
      )
      return await openRegistered(controller, reply as JobReply, { ends: false, ...hooks })
    },
    async jobs(options = {}) {
      checkOptions('call', options)
      return (await listJobs(controller, options)).map(infoOf)
    },
  }
  if (hooks.tracer !== undefined) traceCalls(mayfly, hooks.tracer, {})
  return mayfly
}

export function isHttpUrl(url: string): boolean {
  try {
    return /^https?:$/.test(new URL(url).protocol)
  } catch {
    return false
  }
}
