import { scopeText, UNSIGNED_PAYLOAD } from '../../client/signature-v4.ts'
import type { Payload } from '../http/body.ts'
import { S3Error } from '../http/s3-error.ts'
import type { S3Request } from '../http/s3-request.ts'
import type { Proved } from './signature.ts'

const STREAMING = 'STREAMING-'
const modes: Readonly<Record<string, { isSigned: boolean; hasTrailers: boolean }>> = {
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD': { isSigned: true, hasTrailers: false },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': { isSigned: true, hasTrailers: true },
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER': { isSigned: false, hasTrailers: true },
}

/** How the body of an authenticated request is protected. Throws `InvalidRequest` or `NotImplemented`. */
export function payloadOf({ headers }: S3Request, { payloadHash, ...proved }: Proved): Payload {
  if (payloadHash === UNSIGNED_PAYLOAD) return { kind: 'plain', sha256: null }
  if (/^[0-9a-f]{64}$/.test(payloadHash)) return { kind: 'plain', sha256: payloadHash }
  const mode = modes[payloadHash]
  if (mode === undefined) {
    if (payloadHash.startsWith(STREAMING)) throw new S3Error('NotImplemented')
    throw new S3Error(
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-…, or a valid sha256 value.',
    )
  }
  const encodings = (headers.get('content-encoding') ?? '').split(',').map((each) => each.trim())
  if (!encodings.includes('aws-chunked') && !headers.has('x-amz-decoded-content-length'))
    throw new S3Error('InvalidRequest', 'The body is said to be aws-chunked, and Content-Encoding is not.')
  const { key, time, scope, signature } = proved
  const signer = { key, time, scope: scopeText(scope), seed: signature }
  return { kind: 'chunked', signer: mode.isSigned ? signer : null, hasTrailers: mode.hasTrailers }
}
