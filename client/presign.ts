import { MayflyError } from '../protocol/errors.ts'
import { DEFAULT_BUCKET, encodeKey } from '../protocol/model/keys.ts'
import type { KeyOptions, TicketGrant } from './options.ts'
import {
  ALGORITHM,
  encodePath,
  encodeQuery,
  scopeText,
  signatureOf,
  signingKey,
  timeText,
  UNSIGNED_PAYLOAD,
} from './signature-v4.ts'

/** The rights of an access key for S3 clients. */
export type S3Grant = Omit<TicketGrant, 'expiresInSeconds'>

/** Options of `presign`. */
export interface PresignOptions extends KeyOptions {
  /** `GET` if not given. */
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'DELETE' | undefined
  /** The URL is valid for so many seconds: 1 to 604,800, 3,600 if not given. */
  readonly seconds?: number | undefined
}

/** What an S3 client needs to use a job. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** URL of a gateway. */
  readonly endpoint: string
  readonly expiresAt: Date
}

/** Gateways take any region; this is the one that tools assume. */
const REGION = 'us-east-1'
const SECONDS_DEFAULT = 3_600

/** A URL that is valid for some time, and needs no credentials. Throws `BAD_REQUEST` for what can be no key. */
export function presignUrl(
  { endpoint, accessKeyId, secretAccessKey }: Omit<S3Credentials, 'expiresAt'>,
  key: string,
  {
    bucket = DEFAULT_BUCKET,
    method = 'GET',
    seconds = SECONDS_DEFAULT,
    wallMs,
  }: PresignOptions & { wallMs: number },
): string {
  encodeKey(key)
  if (/(^|\/)\.{1,2}(\/|$)/.test(key)) throw new MayflyError('BAD_REQUEST', `key: URLs cannot have '${key}'`)
  const { host } = new URL(endpoint)
  const time = timeText(wallMs)
  const scope = { day: time.slice(0, 8), region: REGION, service: 's3' }
  const path = `/${bucket}/${key}`
  const query: [string, string][] = [
    ['X-Amz-Algorithm', ALGORITHM],
    ['X-Amz-Credential', `${accessKeyId}/${scopeText(scope)}`],
    ['X-Amz-Date', time],
    ['X-Amz-Expires', String(seconds)],
    ['X-Amz-SignedHeaders', 'host'],
  ]
  const request = { method, path, query, headers: [['host', host]] as const, payloadHash: UNSIGNED_PAYLOAD }
  const signature = signatureOf(signingKey(secretAccessKey, scope), { time, scope, request })
  return `${endpoint}${encodePath(path)}?${encodeQuery(query)}&X-Amz-Signature=${signature}`
}
