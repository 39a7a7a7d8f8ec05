import { Readable } from 'node:stream'
import { TLS_VERSION_MIN } from './tls.ts'

export interface FetchInit {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal
}

/**
 * `fetch`, which cannot be told a CA. With `ca` (PEM), only servers with a certificate of that CA are trusted. Rejects as fetch does, with a
 * TypeError whose cause is the error of the connection.
 */
export async function fetchTrusting(url: URL, init: FetchInit, ca: string | null): Promise<Response> {
  if (ca === null || url.protocol !== 'https:') return fetch(url, init)
  const { request } = await import('node:https')
  const { body, ...options } = init
  return new Promise((resolve, reject) => {
    request(url, { ...options, ca, minVersion: TLS_VERSION_MIN }, (message) => {
      const status = message.statusCode ?? 0
      const headers = message.headers as Record<string, string>
      // `Response` allows no body with it.
      const isEmpty = status === 204
      const stream = isEmpty ? null : (Readable.toWeb(message) as unknown as ReadableStream)
      if (isEmpty) message.resume()
      resolve(new Response(stream, { status, headers }))
    })
      .on('error', (cause) => reject(new TypeError('fetch failed', { cause })))
      .end(body)
  })
}
