import type { FastifySchemaValidationError } from 'fastify'
import type { TSchema } from 'typebox'

/** What is wrong with a request: the path of the field, for example `hints.capacityBytes`, and a sentence that states the allowed values. */
export interface Fault {
  readonly field: string
  readonly reason: string
}

interface Parameters {
  readonly additionalProperty?: string
  readonly missingProperty?: string
}

/** Explains the first error that ajv found. `where` is the part of the request: `body`, `headers`, … */
export function explain(error: FastifySchemaValidationError, where: string): Fault {
  const parameters = error.params as Parameters
  const at = error.instancePath.split('/').slice(1).map(unescapePointer)
  const schema = (error as { parentSchema?: TSchema }).parentSchema ?? {}
  if (parameters.additionalProperty !== undefined) {
    const known = Object.keys((schema as { properties?: object }).properties ?? {})
    const field = [...at, parameters.additionalProperty].join('.')
    return { field, reason: `${field} is not known; allowed are ${known.join(', ')}` }
  }
  if (parameters.missingProperty !== undefined) {
    const field = [...at, parameters.missingProperty].join('.')
    return { field, reason: `${field} is missing` }
  }
  const field = at.join('.') || where
  return { field, reason: `${field} must be ${describe(schema)}` }
}

function describe(schema: TSchema): string {
  const { enum: values } = schema as { enum?: readonly unknown[] }
  if (values !== undefined) return `one of ${values.join(', ')}`
  const { type, minimum, maximum, minLength, maxLength, pattern } = schema as Record<string, unknown>
  switch (type) {
    case 'integer':
      return `a whole number${range(minimum, maximum)}`
    case 'number':
      return `a number${range(minimum, maximum)}`
    case 'string':
      return (
        (minLength === undefined ? 'a string' : `a string of ${minLength} to ${maxLength} characters`) +
        (pattern === undefined ? '' : ` that matches ${pattern}`)
      )
    case 'boolean':
      return 'true or false'
    case 'object':
      return 'an object'
    default:
      return `of the type ${String(type)}`
  }
}

function range(minimum: unknown, maximum: unknown): string {
  return `${minimum === undefined ? '' : ` from ${minimum}`}${maximum === undefined ? '' : ` to ${maximum}`}`
}

/** A JSON pointer encodes `~` and `/` as `~0` and `~1` (RFC 6901). */
function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~')
}
