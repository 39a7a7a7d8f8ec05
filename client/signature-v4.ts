import { createHash, createHmac } from 'node:crypto'

/**
 * Signature Version 4 as S3 uses it ("Authenticating Requests (AWS Signature Version 4)" of the Amazon S3 API
 * reference): paths are encoded once, and no path is normalized.
 */
export const ALGORITHM = 'AWS4-HMAC-SHA256'
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'

/** What a signature is valid for. */
export interface Scope {
  /** `YYYYMMDD` */
  readonly day: string
  readonly region: string
  readonly service: string
}

export interface SignedRequest {
  readonly method: string
  /** Not encoded. */
  readonly path: string
  /** Decoded, without the signature; sorted by the encoded names. */
  readonly query: readonly (readonly [string, string])[]
  /** The signed headers: names in lower case, sorted, values without white space around them. */
  readonly headers: readonly (readonly [string, string])[]
  readonly payloadHash: string
}

export function scopeText({ day, region, service }: Scope): string {
  return `${day}/${region}/${service}/aws4_request`
}

export function signingKey(secret: string, { day, region, service }: Scope): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request')
}

/** The signature in hex. `time` is `YYYYMMDDTHHMMSSZ`. */
export function signatureOf(
  key: Buffer,
  { time, scope, request }: { time: string; scope: Scope; request: SignedRequest },
): string {
  const text = [ALGORITHM, time, scopeText(scope), sha256Hex(canonicalRequest(request))].join('\n')
  return hmac(key, text).toString('hex')
}

function canonicalRequest({ method, path, query, headers, payloadHash }: SignedRequest): string {
  return [
    method,
    encodePath(path),
    encodeQuery(query),
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    headers.map(([name]) => name).join(';'),
    payloadHash,
  ].join('\n')
}

export function encodeQuery(query: SignedRequest['query']): string {
  return query.map((pair) => pair.map(encodeUri).join('=')).join('&')
}

export function encodePath(path: string): string {
  return encodeUri(path).replaceAll('%2F', '/')
}

/** Encodes everything but the unreserved characters of RFC 3986. */
export function encodeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A moment as signatures have it: `YYYYMMDDTHHMMSSZ`. */
export function timeText(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

export function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

export function sha256Hex(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}
