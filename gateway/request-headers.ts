import { notImplemented, S3Error } from './http/s3-error.ts'
import type { S3Request } from './http/s3-request.ts'

/** Headers `x-amz-*` that the gateway supports. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  ...['x-amz-checksum-algorithm', 'x-amz-checksum-mode', 'x-amz-checksum-type', 'x-amz-content-sha256'],
  ...[
    'x-amz-checksum-crc32',
    'x-amz-checksum-crc32c',
    'x-amz-checksum-crc64nvme',
    'x-amz-checksum-sha1',
    'x-amz-checksum-sha256',
  ],
  ...['x-amz-copy-source', 'x-amz-copy-source-if-match', 'x-amz-copy-source-if-modified-since'],
  ...['x-amz-copy-source-if-none-match', 'x-amz-copy-source-if-unmodified-since', 'x-amz-copy-source-range'],
  ...['x-amz-date', 'x-amz-decoded-content-length', 'x-amz-metadata-directive', 'x-amz-mp-object-size'],
  ...['x-amz-sdk-checksum-algorithm', 'x-amz-tagging-directive', 'x-amz-trailer', 'x-amz-user-agent'],
])

/** Headers that are accepted only with the value that the gateway always applies. */
const DEFAULTS: Readonly<Record<string, string>> = {
  'x-amz-acl': 'private',
  'x-amz-bucket-object-lock-enabled': 'false',
  'x-amz-object-ownership': 'BucketOwnerEnforced',
  'x-amz-storage-class': 'STANDARD',
}

/** The parameters of a signature in the query. */
const SIGNATURE: ReadonlySet<string> = new Set([
  ...['x-amz-algorithm', 'x-amz-credential', 'x-amz-expires', 'x-amz-signedheaders', 'x-amz-signature'],
])

/** Throws `NotImplemented` for an unsupported `x-amz-*` header; in a presigned URL also for such a parameter. */
export function checkHeaders({ headers, query }: S3Request): void {
  for (const [name, value] of headers) if (name.startsWith('x-amz-')) check(name, value)
  for (const [name, value] of query) {
    const lower = name.toLowerCase()
    if (lower.startsWith('x-amz-') && !SIGNATURE.has(lower)) check(lower, value)
  }
}

function check(name: string, value: string): void {
  if (UNDERSTOOD.has(name) || name.startsWith('x-amz-meta-') || DEFAULTS[name] === value) return
  if (name === 'x-amz-security-token')
    throw new S3Error('InvalidArgument', 'The access keys of Mayfly have no session token')
  throw notImplemented(name)
}
