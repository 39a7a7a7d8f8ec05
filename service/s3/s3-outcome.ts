import { S3ServiceException } from '@aws-sdk/client-s3'
import { MayflyError } from '../../protocol/errors.ts'
import { codeOf } from '../process/system-error.ts'

/**
 * What a failed change says of itself:
 * - `refused`: it was not made, and to send it again is of no use.
 * - `unsent`: it was not made, and may be sent again.
 * - `withRequest`: the answer was an error, or that something else lies there; the change may have been made, but will not be later.
 * - `unanswered`: it may have been made, or may still be.
 */
export type Outcome = 'refused' | 'unsent' | 'answered' | 'unanswered'

/** The connection never came to be. */
const notSent = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']
/** The peer has closed the connection: it goes on with no request that it has not read. */
const closed = ['ECONNRESET', 'EPIPE']

/** Of what one request that is not repeated by the driver has failed with, translated. */
export function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof MayflyError)) return 'refused'
  if (error.code === 'VERSION_MISMATCH' || error.code === 'NOT_FOUND') return 'answered'
  if (error.code !== 'UNAVAILABLE') return 'refused'
  const { cause } = error
  // What the breaker refused has no cause; what the endpoint refused has that refusal.
  if (cause === undefined || cause instanceof MayflyError) return 'refused'
  if (cause instanceof S3ServiceException) return 'answered'
  const code = codeOf(cause)
  if (notSent.includes(code)) return 'unsent'
  return closed.includes(code) ? 'answered' : 'unanswered'
}
