import { MayflyError } from '../protocol/errors.ts'
import { DEFAULT_BUCKET, encodeKey } from '../protocol/model/keys.ts'
import { s3KeyOf } from '../protocol/model/s3-key.ts'
import type { Ticket } from '../protocol/model/ticket.ts'
import { partsOfToken, readClaims } from '../protocol/model/token.ts'
import { systemRuntime } from '../protocol/runtime.ts'
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
  /**
   * URL of an S3 gateway. If not given, one that the controller names; of a job that was opened with a ticket, AWS_ENDPOINT_URL of the
   * environment.
   */
  readonly endpoint?: string | undefined
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

/** With the access key that follows from a ticket. Throws `BAD_REQUEST`, and `TICKET_EXPIRED`. */
export function presignByTicket({ token }: Ticket, key: string, options: PresignOptions): string {
  const { endpoint = process.env.AWS_ENDPOINT_URL } = options
  if (!endpoint)
    throw new MayflyError(
      'BAD_REQUEST',
      'endpoint: it is not given, and AWS_ENDPOINT_URL is not set; a ticket does not name an S3 gateway',
    )
  const wallMs = systemRuntime.clock.wallMs()
  const { expiresSeconds } = readClaims(partsOfToken(token).claims, wallMs)
  const leftSeconds = Math.ceil(expiresSeconds - wallMs / 1000)
  const { seconds = Math.min(SECONDS_DEFAULT, leftSeconds) } = options
  if (seconds > leftSeconds)
    throw new MayflyError(
      'BAD_REQUEST',
      `seconds: it is ${seconds}, and the ticket expires in ${leftSeconds} s; have another ticket issued`,
    )
  return presignUrl({ endpoint, ...s3KeyOf(token) }, key, { ...options, seconds, wallMs })
}

/** A URL that is valid for some time, and needs no credentials. Throws `BAD_REQUEST` for what can be no key. */
export function presignUrl(
  { endpoint: base, accessKeyId, secretAccessKey }: Omit<S3Credentials, 'expiresAt'>,
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
  if (!URL.canParse(base))
    throw new MayflyError('BAD_REQUEST', `endpoint: it is '${base}', not a URL like http://127.0.0.1:7480`)
  const { host, origin } = new URL(base)
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
  return `${origin}${encodePath(path)}?${encodeQuery(query)}&X-Amz-Signature=${signature}`
}
