import { type ErrorCode, errorTable, MayflyError } from '../protocol/errors.ts'
import { NODE_START_MS_MAX } from '../protocol/limits.ts'

/** Where a controller is and the key that it wants. */
export interface Credentials {
  readonly url: string
  readonly apiKey: string
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/** A registration answers once its nodes have started; nothing else takes longer. */
const REPLY_MS_MAX = 2 * NODE_START_MS_MAX

/**
 * Asks the controller and returns what it answered. Rejects with the error that it answered, and with
 * `UNAVAILABLE` if nothing answers at its address.
 */
export async function request<T>({ url, apiKey }: Credentials, asked: HttpRequest): Promise<T> {
  const reply = await send(new URL(asked.path, url), {
    method: asked.method ?? 'GET',
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(asked.body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(asked.body !== undefined && { body: JSON.stringify(asked.body) }),
    signal: AbortSignal.any([AbortSignal.timeout(REPLY_MS_MAX), ...(asked.signal ? [asked.signal] : [])]),
  })
  const text = await reply.text()
  if (!reply.ok) throw errorOf(reply.status, text)
  return JSON.parse(text) as T
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (cause) {
    throw new MayflyError(
      'UNAVAILABLE',
      `No cluster answers at ${url.origin}; start one with \`mayfly up\``,
      {
        cause,
      },
    )
  }
}

function errorOf(status: number, text: string): MayflyError {
  const { code, message } = parseError(text)
  if (code === undefined || !Object.hasOwn(errorTable, code)) {
    return new MayflyError('INTERNAL', `The controller answered with HTTP status ${status}`)
  }
  const known = code as ErrorCode
  const advice = `. ${errorTable[known].advice}`
  return new MayflyError(known, message?.endsWith(advice) ? message.slice(0, -advice.length) : `${message}`)
}

function parseError(text: string): { code?: string; message?: string } {
  try {
    return (JSON.parse(text) as { error?: { code?: string; message?: string } }).error ?? {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}
