import {
  ALGORITHM,
  encodeUri,
  type Scope,
  signatureOf,
  signingKey,
  timeText,
  UNSIGNED_PAYLOAD,
} from '../../client/signature-v4.ts'
import { PRESIGNED_SECONDS_MAX } from '../../protocol/limits.ts'
import { areEqual } from '../http/constant-time.ts'
import { S3Error } from '../http/s3-error.ts'
import type { S3Request } from '../http/s3-request.ts'
import { CLOCK_SKEW_MS_MAX, SIGNING_KEYS_MAX } from '../limits.ts'

/** The signature fields of a request, from headers or from the query. */
interface Claimed {
  readonly accessKeyId: string
  readonly scope: Scope
  readonly time: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  readonly payloadHash: string
  /** Seconds from `time`; null in headers. */
  readonly expiresSeconds: number | null
}

/** A verified signature. */
export interface Proved {
  readonly accessKeyId: string
  readonly key: Buffer
  readonly time: string
  readonly scope: Scope
  readonly signature: string
  readonly payloadHash: string
}

/** Looks up the secret of an access key. Throws `InvalidAccessKeyId`. */
export type SecretOf = (accessKeyId: string) => string

/** Verifies signatures of version 4. */
export class Signatures {
  readonly #secretOf: SecretOf
  /** By access key, day, region: the latest used last. */
  readonly #keys = new Map<string, Buffer>()

  constructor(secretOf: SecretOf) {
    this.#secretOf = secretOf
  }

  /**
   * Throws `AccessDenied` without a signature and for an expired URL, `InvalidAccessKeyId`, `RequestTimeTooSkewed`, `SignatureDoesNotMatch`,
   * and S3's errors for a malformed signature.
   */
  verify(request: S3Request, wallMs: number): Proved {
    const claimed = readClaimed(request)
    const { accessKeyId, scope, time, signature, payloadHash } = claimed
    const key = this.#keyOf(accessKeyId, scope)
    checkTime(claimed, wallMs)
    const expected = signatureOf(key, { time, scope, request: signedPart(request, claimed) })
    if (!areEqual(expected, signature)) throw new S3Error('SignatureDoesNotMatch')
    return { accessKeyId, key, time, scope, signature, payloadHash }
  }

  #keyOf(accessKeyId: string, scope: Scope): Buffer {
    const name = `${accessKeyId}/${scope.day}/${scope.region}`
    const key = this.#keys.get(name) ?? signingKey(this.#secretOf(accessKeyId), scope)
    this.#keys.delete(name)
    this.#keys.set(name, key)
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= SIGNING_KEYS_MAX) break
      this.#keys.delete(oldest)
    }
    return key
  }
}

function readClaimed(request: S3Request): Claimed {
  const { headers, query } = request
  const header = headers.get('authorization')
  const inQuery = query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature')
  if (header !== undefined && inQuery)
    throw new S3Error(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
    )
  if (header !== undefined) return readHeader(header, headers)
  if (inQuery) return readQuery(query, headers)
  if (query.has('AWSAccessKeyId') || query.has('Signature')) throw onlyVersion4()
  throw new S3Error('AccessDenied')
}

function onlyVersion4(): S3Error {
  return new S3Error(
    'InvalidRequest',
    `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
  )
}

function readHeader(header: string, headers: ReadonlyMap<string, string>): Claimed {
  const [, algorithm = '', rest = ''] = /^(\S+)\s+(.*)$/s.exec(header.trim()) ?? []
  if (algorithm !== ALGORITHM) throw onlyVersion4()
  const fields = new Map(
    rest.split(',').map((field) => {
      const equals = field.indexOf('=')
      return [field.slice(0, equals).trim(), field.slice(equals + 1).trim()] as const
    }),
  )
  const [credential, signed, signature] = ['Credential', 'SignedHeaders', 'Signature'].map((name) =>
    fields.get(name),
  )
  if (!credential || !signed || !signature) throw new S3Error('AuthorizationHeaderMalformed')
  const payloadHash = headers.get('x-amz-content-sha256')
  if (payloadHash === undefined)
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  const { accessKeyId, scope } = readCredential(credential, 'AuthorizationHeaderMalformed')
  return {
    accessKeyId,
    scope,
    time: timeIn(headers),
    signedHeaders: signed.toLowerCase().split(';'),
    signature,
    payloadHash,
    expiresSeconds: null,
  }
}

function timeIn(headers: ReadonlyMap<string, string>): string {
  const time = headers.get('x-amz-date')
  if (time !== undefined) return time
  const dateMs = Date.parse(headers.get('date') ?? '')
  if (Number.isNaN(dateMs))
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
  return timeText(dateMs)
}

function readQuery(query: ReadonlyMap<string, string>, headers: ReadonlyMap<string, string>): Claimed {
  const value = (name: string): string => {
    const found = query.get(`X-Amz-${name}`)
    if (found) return found
    throw new S3Error(
      'AuthorizationQueryParametersError',
      `Query-string authentication version 4 requires the X-Amz-${name} parameter.`,
    )
  }
  if (value('Algorithm') !== ALGORITHM) throw onlyVersion4()
  const expires = value('Expires')
  const expiresSeconds = /^\d{1,9}$/.test(expires) ? Number(expires) : Number.NaN
  if (!(expiresSeconds >= 1 && expiresSeconds <= PRESIGNED_SECONDS_MAX))
    throw new S3Error(
      'AuthorizationQueryParametersError',
      `X-Amz-Expires must be from 1 to ${PRESIGNED_SECONDS_MAX} seconds`,
    )
  const { accessKeyId, scope } = readCredential(value('Credential'), 'AuthorizationQueryParametersError')
  return {
    accessKeyId,
    scope,
    time: value('Date'),
    signedHeaders: value('SignedHeaders').toLowerCase().split(';'),
    signature: value('Signature'),
    payloadHash: query.get('X-Amz-Content-Sha256') ?? headers.get('x-amz-content-sha256') ?? UNSIGNED_PAYLOAD,
    expiresSeconds,
  }
}

function readCredential(
  text: string,
  code: 'AuthorizationHeaderMalformed' | 'AuthorizationQueryParametersError',
): { accessKeyId: string; scope: Scope } {
  const [accessKeyId = '', day = '', region = '', service = '', end = '', ...others] = text.split('/')
  const isWhole = accessKeyId !== '' && /^\d{8}$/.test(day) && region !== '' && others.length === 0
  if (!isWhole || service !== 's3' || end !== 'aws4_request')
    throw new S3Error(
      code,
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request".',
    )
  return { accessKeyId, scope: { day, region, service } }
}

function checkTime({ time, scope, expiresSeconds }: Claimed, wallMs: number): void {
  const timeMs = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (Number.isNaN(timeMs) || !time.startsWith(scope.day))
    throw new S3Error(
      'AccessDenied',
      'The date of the signature is missing, is not valid, or is not that of the credential',
    )
  if (expiresSeconds === null) {
    if (Math.abs(wallMs - timeMs) > CLOCK_SKEW_MS_MAX) throw new S3Error('RequestTimeTooSkewed')
    return
  }
  if (timeMs - wallMs > CLOCK_SKEW_MS_MAX) throw new S3Error('AccessDenied', 'Request is not valid yet')
  if (wallMs > timeMs + expiresSeconds * 1000) throw new S3Error('AccessDenied', 'Request has expired')
}

/** Checks that the signature covers the required headers. Throws `AccessDenied` otherwise. */
function signedPart(request: S3Request, { signedHeaders, payloadHash }: Claimed) {
  const { method, path, query, headers } = request
  if (!signedHeaders.includes('host')) throw new S3Error('SignatureDoesNotMatch')
  for (const name of headers.keys())
    if (name.startsWith('x-amz-') && name !== 'x-amz-content-sha256' && !signedHeaders.includes(name))
      throw new S3Error(
        'AccessDenied',
        `There were headers present in the request which were not signed: ${name}`,
      )
  return {
    method,
    path,
    query: [...query].filter(([name]) => name !== 'X-Amz-Signature').sort(([a], [b]) => compareEncoded(a, b)),
    headers: signedHeaders.map(
      (name) => [name, (headers.get(name) ?? '').trim().replace(/ {2,}/g, ' ')] as const,
    ),
    payloadHash,
  }
}

/** Names are distinct: a parameter that is sent twice is refused. */
function compareEncoded(a: string, b: string): number {
  return encodeUri(a) < encodeUri(b) ? -1 : 1
}
