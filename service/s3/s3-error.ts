import { S3ServiceException } from '@aws-sdk/client-s3'
import { isError, MayflyError } from '../../protocol/errors.ts'

const credentialNames = ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AccessDenied', 'Forbidden', '403']

/**
 * Translates driver errors into a `MayflyError` that tells an operator what to repair. `at` names bucket and
 * endpoint.
 */
export function translateError(error: unknown, at: string): MayflyError {
  if (error instanceof MayflyError) return error
  if (!(error instanceof S3ServiceException)) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
    return new MayflyError('UNAVAILABLE', `${at} cannot be reached: ${message === '' ? name : message}`, {
      cause: error,
    })
  }
  const status = error.$metadata.httpStatusCode ?? 0
  const say = (what: string): string => `${at} ${what}`
  if (error.name === 'NoSuchBucket')
    return new MayflyError('BAD_REQUEST', say('does not exist: create the bucket first'))
  if (credentialNames.includes(error.name) || status === 403)
    return new MayflyError('FORBIDDEN', say(`refuses accessKeyId and secretAccessKey (${error.name})`), {
      cause: error,
    })
  if (status === 412) return new MayflyError('VERSION_MISMATCH', say('has other bytes under this key'))
  if (status === 507)
    return new MayflyError('CAPACITY_EXCEEDED', say(`is full (${error.name})`), { cause: error })
  if (status === 404) return new MayflyError('NOT_FOUND', say('has no such object'))
  if (status >= 500 || status === 429 || status === 408 || error.$retryable !== undefined)
    return new MayflyError('UNAVAILABLE', say(`answers ${status} (${error.name})`), { cause: error })
  return new MayflyError('BAD_REQUEST', say(`refuses the request: ${error.name}, ${error.message}`), {
    cause: error,
  })
}

/** The same for requests of clients, who cannot repair the cluster's credentials or settings. */
export function inUse(error: unknown): unknown {
  if (!isError(error, 'FORBIDDEN', 'BAD_REQUEST')) return error
  return new MayflyError('UNAVAILABLE', error.reason, { cause: error })
}
