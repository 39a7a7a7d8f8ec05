import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { S3Error } from './s3-error.ts'

/** A parsed request of S3: its parts are decoded, and its bucket may come from the host name. */
export interface S3Request {
  readonly method: string
  /** The raw path, with the bucket in front. */
  readonly url: string
  /** Decoded, as it was sent: what a signature covers. */
  readonly path: string
  readonly query: ReadonlyMap<string, string>
  readonly headers: ReadonlyMap<string, string>
}

/**
 * Parses a request. `domains` are the hosts whose subdomains are buckets (virtual-host style). Throws `InvalidURI`, and `InvalidArgument` for
 * a query parameter or a header that is sent twice: which one is meant is ambiguous.
 */
export function parseRequest(incoming: IncomingMessage, domains: readonly string[]): S3Request {
  const { method = '', url = '' } = incoming
  const mark = url.indexOf('?')
  const rawPath = mark < 0 ? url : url.slice(0, mark)
  if (!rawPath.startsWith('/')) throw new S3Error('InvalidURI')
  const headers = headersOf(incoming.rawHeaders)
  const bucket = bucketOfHost(headers.get('host') ?? '', domains)
  return {
    method,
    url: bucket === '' ? rawPath : `/${bucket}${rawPath}`,
    path: decode(rawPath),
    query: mark < 0 ? new Map() : parseQuery(url.slice(mark + 1)),
    headers,
  }
}

/** Names are in lower case. Repeated headers are joined, as signatures require. */
function headersOf(raw: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase()
    const value = textOf(raw[index + 1] as string)
    const former = headers.get(name)
    if (former !== undefined && SINGLE.has(name))
      throw new S3Error('InvalidArgument', `${name}: it is sent twice`)
    headers.set(name, former === undefined ? value : `${former},${value}`)
  }
  return headers
}

const SINGLE: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-md5',
  'host',
  'x-amz-date',
])

/** Node reads headers as Latin-1; S3's are UTF-8. */
function textOf(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is about ASCII.
  if (/^[\x00-\x7f]*$/.test(value)) return value
  const text = Buffer.from(value, 'latin1').toString('utf8')
  return text.includes('\ufffd') ? value : text
}

function parseQuery(text: string): Map<string, string> {
  const query = new Map<string, string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(plain(equals < 0 ? pair : pair.slice(0, equals)))
    if (query.has(name)) throw new S3Error('InvalidArgument', `${name}: the parameter is sent twice`)
    query.set(name, equals < 0 ? '' : decode(plain(pair.slice(equals + 1))))
  }
  return query
}

function plain(text: string): string {
  return text.replaceAll('+', ' ')
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new S3Error('InvalidURI', undefined, { cause })
  }
}

/** The bucket in front of one of the domains; empty for path style. */
function bucketOfHost(host: string, domains: readonly string[]): string {
  const colon = host.lastIndexOf(':')
  const name = colon < 0 ? host : host.slice(0, colon)
  if (isIP(name) !== 0) return ''
  const domain = domains.find((each) => name.endsWith(`.${each}`))
  return domain === undefined ? '' : name.slice(0, -domain.length - 1)
}
