import { ControllerApi } from '../../client/controller-api.ts'
import { allOf, withJobId } from '../../client/registration.ts'
import { isError, MayflyError } from '../../protocol/errors.ts'
import { NODE_START_MS_MAX } from '../../protocol/limits.ts'
import { caIn } from '../../protocol/transport/tls.ts'
import type { LinkReply } from './replies.ts'

/** URL of a controller and its API key. */
export interface Credentials {
  /** Or of several processes of which one is the controller, separated by commas. */
  readonly url: string
  readonly apiKey: string
  /** The CA of its certificates; missing for those that Node trusts. */
  readonly caFile?: string
}

/** A client of the controller. */
export function apiOf({ url, apiKey, caFile }: Credentials): ControllerApi {
  return new ControllerApi(url, apiKey, { ca: caIn(caFile) })
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
  /** Additional time for the controller's answer. */
  readonly waitMs?: number
}

/** A registration that need not wait for capacity answers once its nodes have started; no other call takes longer. */
const REPLY_MS_MAX = 2 * NODE_START_MS_MAX

/** Sends a request to the controller and returns its reply. Rejects with the error that it replied. */
export async function request<T>(
  credentials: Credentials,
  asked: HttpRequest,
  api = apiOf(credentials),
): Promise<T> {
  const { method = 'GET', path, waitMs = 0, ...call } = asked
  try {
    return (await api.call(method, path, {
      ...call,
      deadlineMs: REPLY_MS_MAX + waitMs,
    })) as T
  } catch (cause) {
    if (!isError(cause, 'UNAVAILABLE') || !(cause.cause instanceof TypeError)) throw cause
    throw noCluster(credentials.url, cause)
  }
}

/** Nothing answers at the URL. */
export function noCluster(url: string, cause: unknown): MayflyError {
  return new MayflyError('UNAVAILABLE', `No cluster answers at ${url}; start one with \`mayfly up\``, {
    cause,
  })
}

/** A request about the job with this id or name. */
export async function requestJob<T>(
  credentials: Credentials,
  job: string,
  { below = '', ...asked }: Omit<HttpRequest, 'path'> & { below?: string },
): Promise<T> {
  return await withJobId(apiOf(credentials), { job, signal: asked.signal }, (id) =>
    request<T>(credentials, { ...asked, path: `/v1/jobs/${encodeURIComponent(id)}${below}` }),
  )
}

/** All items of a list that the controller gives page by page. */
export async function requestAll<T>(credentials: Credentials, list: 'jobs' | 'nodes'): Promise<T[]> {
  return await allOf<T>(list, (path) => request(credentials, { path }))
}

/** A link to the page of the cluster that logs in once, within 10 minutes. */
export async function requestPage(credentials: Credentials): Promise<string> {
  const api = apiOf(credentials)
  const asked = { method: 'POST', path: '/v1/console/links' } as const
  const { path } = await request<LinkReply>(credentials, asked, api)
  return new URL(path, api.url).href
}
