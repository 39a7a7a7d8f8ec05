import { asMayflyError, type ErrorCode, MayflyError } from '../../protocol/errors.ts'

/** The errors that the gateway answers: HTTP status and text as S3 has them. */
const s3Errors = {
  AccessDenied: [403, 'Access Denied'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'The authorization query parameters are not complete.'],
  BadDigest: [
    400,
    'The Content-MD5 or checksum value that you specified did not match what the server received.',
  ],
  BucketAlreadyOwnedByYou: [409, 'The bucket that you tried to create already exists, and you own it.'],
  BucketNotEmpty: [409, 'The bucket that you tried to delete is not empty.'],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed object size.'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed object size.'],
  ExpiredToken: [400, 'The provided access key has expired.'],
  IncompleteBody: [
    400,
    'You did not provide the number of bytes specified by the Content-Length HTTP header.',
  ],
  InsufficientCapacity: [
    507,
    'The job has no room for more bytes: register it with a larger capacityBytes, or delete objects.',
  ],
  InternalError: [500, 'The server encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'The access key id that you provided does not exist in our records.'],
  InvalidArgument: [400, 'Invalid argument.'],
  InvalidBucketName: [400, 'The specified bucket is not valid.'],
  InvalidDigest: [400, 'The Content-MD5 or checksum value that you specified is not valid.'],
  InvalidPart: [
    400,
    'One or more of the specified parts could not be found, or its entity tag did not match.',
  ],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order.'],
  InvalidRange: [416, 'The requested range is not satisfiable.'],
  InvalidRequest: [400, 'Invalid request.'],
  InvalidURI: [400, 'The specified URI could not be parsed.'],
  KeyTooLongError: [400, 'Your key is too long.'],
  MalformedXML: [
    400,
    'The XML that you provided was not well formed or did not validate against our published schema.',
  ],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  NoSuchBucket: [404, 'The specified bucket does not exist.'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchUpload: [
    404,
    'The specified multipart upload does not exist. It may have been aborted or completed.',
  ],
  NoSuchVersion: [404, 'The version id specified in the request does not match an existing version.'],
  NotImplemented: [
    501,
    'A header, parameter or operation that you provided implies functionality that is not implemented.',
  ],
  NotModified: [304, 'Not Modified'],
  ObjectLost: [410, 'The object may have been on a node that died; run its producer again.'],
  OutcomeUnknown: [409, 'The request may have been carried out; read the key before you repeat it.'],
  PreconditionFailed: [412, 'At least one of the preconditions that you specified did not hold.'],
  RequestTimeTooSkewed: [403, "The difference between the request time and the server's time is too large."],
  RequestTimeout: [
    400,
    'Your socket connection to the server was not read from or written to within the timeout period.',
  ],
  SignatureDoesNotMatch: [
    403,
    'The request signature that we calculated does not match the signature that you provided.',
  ],
  SlowDown: [503, 'Please reduce your request rate.'],
  XAmzContentSHA256Mismatch: [
    400,
    'The provided x-amz-content-sha256 header does not match what was computed.',
  ],
} as const satisfies Record<string, readonly [number, string]>

export type S3Code = keyof typeof s3Errors

/** An error with S3's code and text; `headers` are sent with it. */
export class S3Error extends Error {
  readonly code: S3Code
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(code: S3Code, message: string = s3Errors[code][1], options: S3ErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.status = s3Errors[code][0]
    this.headers = options.headers ?? {}
  }
}

interface S3ErrorOptions extends ErrorOptions {
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Maps errors of the SDK to errors of S3. S3 SDKs retry only 500 and 503. So an unknown outcome, which must not be retried blindly, is a 409,
 * and a lost object, which no retry recovers, a 410.
 */
const codes: Readonly<Record<ErrorCode, S3Code>> = {
  BAD_REQUEST: 'InvalidArgument',
  UNAUTHENTICATED: 'AccessDenied',
  TICKET_EXPIRED: 'ExpiredToken',
  FORBIDDEN: 'AccessDenied',
  JOB_NOT_FOUND: 'InvalidAccessKeyId',
  JOB_ENDED: 'InvalidAccessKeyId',
  BUCKET_NOT_FOUND: 'NoSuchBucket',
  BUCKET_EXISTS: 'BucketAlreadyOwnedByYou',
  NOT_FOUND: 'NoSuchKey',
  KEY_EXISTS: 'PreconditionFailed',
  VERSION_MISMATCH: 'PreconditionFailed',
  OBJECT_TOO_LARGE: 'EntityTooLarge',
  CAPACITY_EXCEEDED: 'InsufficientCapacity',
  RESERVATION_REFUSED: 'InsufficientCapacity',
  OBJECT_LOST: 'ObjectLost',
  OUTCOME_UNKNOWN: 'OutcomeUnknown',
  RANGE_NOT_SATISFIABLE: 'InvalidRange',
  STALE_PLACEMENT: 'SlowDown',
  UNAVAILABLE: 'SlowDown',
  DEADLINE_EXCEEDED: 'SlowDown',
  TOO_MANY_REQUESTS: 'SlowDown',
  CLOSED: 'SlowDown',
  ABORTED: 'SlowDown',
  CONNECTION_LOST: 'SlowDown',
  JOB_MOVED: 'SlowDown',
  PUT_EXPIRED: 'SlowDown',
  CHECKSUM_MISMATCH: 'InternalError',
  PROTOCOL_VIOLATION: 'InternalError',
  INTERNAL: 'InternalError',
  ROUTE_NOT_FOUND: 'InternalError',
  NODE_NOT_FOUND: 'InternalError',
  NODE_DEAD: 'InternalError',
  TLS_FAILED: 'InternalError',
}

/** Any thrown value as an error of S3. */
export function asS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  const { code, reason } = asMayflyError(error)
  const answer = codes[code]
  if (answer === 'SlowDown') return slowDown(reason, error)
  if (answer === 'InternalError') return new S3Error(answer, undefined, { cause: error })
  const says = error instanceof MayflyError && (answer === 'InvalidArgument' || answer === 'AccessDenied')
  return new S3Error(answer, says ? error.message : undefined, { cause: error })
}

/** The client may come again after a second. */
export function slowDown(reason: string, cause?: unknown): S3Error {
  const headers = { 'retry-after': '1' }
  return new S3Error('SlowDown', `${s3Errors.SlowDown[1]} (${reason})`, { headers, cause })
}

/** Refuses what is not supported, instead of ignoring it. */
export function notImplemented(what: string): S3Error {
  return new S3Error('NotImplemented', `${s3Errors.NotImplemented[1]} (${what})`)
}
