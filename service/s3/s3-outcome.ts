import { S3ServiceException } from '@aws-sdk/client-s3'
import { MayflyError } from '../../protocol/errors.ts'
import { codeOf } from '../process/system-error.ts'

/**
 * The outcome of a failed change:
 * - `refused`: not made; retrying does not help.
 * - `unsent`: not made; may be retried.
 * - `answered`: the answer was an error, or a failed condition; the change may have been made, but will not
 * be later.
 * - `unanswered`: it may have been made, or may still be.
 */
export type Outcome = 'refused' | 'unsent' | 'answered' | 'unanswered'

/** The connection was not established. */
const notSent = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']
/** The peer has closed the connection: it processes no request that it has not read. */
const closed = ['ECONNRESET', 'EPIPE']

/** Classifies the translated error of one request that the driver did not repeat. */
export function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof MayflyError)) return 'refused'
  if (error.code === 'VERSION_MISMATCH' || error.code === 'NOT_FOUND') return 'answered'
  if (error.code !== 'UNAVAILABLE') return 'refused'
  const { cause } = error
  // A refusal by the breaker has no cause; one by the endpoint has that refusal as its cause.
  if (cause === undefined || cause instanceof MayflyError) return 'refused'
  if (cause instanceof S3ServiceException) return 'answered'
  const code = codeOf(cause)
  if (notSent.includes(code)) return 'unsent'
  return closed.includes(code) ? 'answered' : 'unanswered'
}
