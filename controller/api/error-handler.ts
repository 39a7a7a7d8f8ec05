import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { errorTable, isOwnFault, MayflyError } from '../../protocol/errors.ts'
import { endProcess, mustEndProcess } from '../../service/process/background.ts'
import { reportFault } from '../../service/process/fault-report.ts'
import type { Logger } from '../../service/process/log.ts'
import { PostponedError } from '../errors.ts'
import { RETRY_AFTER_SECONDS } from '../limits.ts'
import { earlyStatuses } from './replies.ts'
import { explain } from './validation.ts'

interface Failure {
  /** An error that is no `MayflyError` is a bug. */
  readonly error: Error
  readonly field?: string
  /** Set if HTTP has a more specific status than the error table. */
  readonly status?: number
}

/** Answers every failure with the API's error body. Once the controller is `stopped`, another one serves what is unavailable here. */
export function answerFailure({ log, stopped }: { readonly log: Logger; readonly stopped: AbortSignal }) {
  return (thrown: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const failure = failureOf(thrown)
    const { field, status } = failure
    const isOwn = isOwnFault(failure.error)
    const error = isOwn ? reportFault(thrown, { server: 'controller', log }) : (failure.error as MayflyError)
    const { code, message } = error
    if (isOwn && mustEndProcess(thrown)) endProcess(thrown)
    if (errorTable[code].blame === 'server' && error.cause !== undefined)
      log.warn({ err: error.cause, url: request.url }, 'a dependency of a request has failed')
    const isPostponed = error instanceof PostponedError || (code === 'UNAVAILABLE' && stopped.aborted)
    if (isPostponed || code === 'TOO_MANY_REQUESTS') reply.header('retry-after', RETRY_AFTER_SECONDS)
    return reply
      .status(status ?? errorTable[code].status)
      .send({ error: { code, message, ...(field !== undefined && { field }) } })
  }
}

function failureOf(thrown: FastifyError | Error): Failure {
  if (thrown instanceof MayflyError) return { error: thrown, ...fieldOf(thrown) }
  const { validation, validationContext, code, statusCode } = thrown as Partial<FastifyError>
  const [first] = validation ?? []
  if (first !== undefined) {
    const { field, reason } = explain(first, validationContext ?? 'body')
    return { field, error: new MayflyError('BAD_REQUEST', reason, { cause: thrown }) }
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return {
      error: new MayflyError('OBJECT_TOO_LARGE', 'The body is larger than a request may be', {
        cause: thrown,
      }),
    }
  }
  if (statusCode !== undefined && statusCode < 500) {
    const error = new MayflyError('BAD_REQUEST', thrown.message, { cause: thrown })
    return statusCode in earlyStatuses ? { error, status: statusCode } : { error }
  }
  return { error: thrown }
}

/** A check outside the schemas begins its message with the field's name and a colon. */
function fieldOf({ code, reason }: MayflyError): { field?: string } {
  const [, field] = (code === 'BAD_REQUEST' && /^([\w.-]+): /.exec(reason)) || []
  return field === undefined ? {} : { field }
}
