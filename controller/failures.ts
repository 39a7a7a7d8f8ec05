import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { asMayflyError, errorTable, MayflyError } from '../protocol/errors.ts'
import { RETRY_AFTER_SECONDS } from '../protocol/limits.ts'
import type { Logger } from '../service/log.ts'
import { explain } from './validation.ts'

interface Failure {
  readonly error: MayflyError
  readonly field?: string
}

/** Answers every failure in the one form that the API has for it. */
export function answerFailure(log: Logger) {
  return (thrown: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { error, field } = failureOf(thrown)
    const { code, message } = error
    if (code === 'INTERNAL') log.error({ err: thrown, url: request.url }, 'a request failed by a bug')
    if (code === 'TOO_MANY_REQUESTS') reply.header('retry-after', RETRY_AFTER_SECONDS)
    return reply
      .status(errorTable[code].status)
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
    return { error: new MayflyError('BAD_REQUEST', thrown.message, { cause: thrown }) }
  }
  return { error: asMayflyError(thrown) }
}

/** Where a check outside the schemas refused a field, its message begins with the field's name and a colon. */
function fieldOf({ code, reason }: MayflyError): { field?: string } {
  const [, field] = (code === 'BAD_REQUEST' && /^([\w.-]+): /.exec(reason)) || []
  return field === undefined ? {} : { field }
}
