import { ControllerApi } from '../../client/controller-api.ts'
import { isError, MayflyError } from '../../protocol/errors.ts'
import { NODE_START_MS_MAX } from '../../protocol/limits.ts'

/** URL of a controller and its API key. */
export interface Credentials {
  readonly url: string
  readonly apiKey: string
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly signal?: AbortSignal
  /** Additional time for the controller's answer. */
  readonly waitMs?: number
}

/** A registration that need not wait for capacity answers once its nodes have started; no other call takes longer. */
const REPLY_MS_MAX = 2 * NODE_START_MS_MAX

/** Sends a request to the controller and returns its reply. Rejects with the error that it replied. */
export async function request<T>({ url, apiKey }: Credentials, asked: HttpRequest): Promise<T> {
  const { method = 'GET', path, waitMs = 0, ...call } = asked
  try {
    return (await new ControllerApi(url, apiKey).call(method, path, {
      ...call,
      deadlineMs: REPLY_MS_MAX + waitMs,
    })) as T
  } catch (cause) {
    if (!isError(cause, 'UNAVAILABLE') || !(cause.cause instanceof TypeError)) throw cause
    throw new MayflyError('UNAVAILABLE', `No cluster answers at ${url}; start one with \`mayfly up\``, {
      cause,
    })
  }
}

/** Every item of a paged list: `field` of each page, until there is no next one. */
export async function requestAll<Item>(
  credentials: Credentials,
  path: string,
  field: string,
): Promise<Item[]> {
  const items: Item[] = []
  let query = ''
  for (;;) {
    const page = await request<Record<string, unknown>>(credentials, { path: `${path}${query}` })
    items.push(...(page[field] as Item[]))
    if (typeof page.next !== 'string') return items
    query = `?after=${encodeURIComponent(page.next)}`
  }
}
