import { asMayflyError } from '../protocol/errors.ts'
import { type CallContext, isTraceparent } from '../protocol/wire/call-context.ts'
import type { Span, Tracer } from './options.ts'
import { callContext } from './routing/deadline.ts'

/** OpenTelemetry's numbers. */
const KIND_CLIENT = 2
const STATUS_ERROR = 2

/** The position of the options of calls whose first argument is a key. */
const ofKey = {
  ...{ put: 2, putJson: 2, putStream: 2, append: 2 },
  ...{ get: 1, getJson: 1, getWithMetadata: 1, getStream: 1 },
  ...{ stat: 1, exists: 1, delete: 1 },
}
/** The same of all traced calls. */
const optionsAt = {
  ...ofKey,
  ...{ putMany: 1, getMany: 1, statMany: 1, deleteMany: 1 },
  ...{ createBucket: 1, deleteBucket: 1, buckets: 0 },
  ...{ registerJob: 2, job: 1, jobs: 0 },
  ...{ info: 0, issueTicket: 1, s3Credentials: 1, presign: 1, renew: 0, resize: 1, deregister: 0 },
}

type Options = Readonly<Record<string, unknown>> & { readonly [callContext]?: CallContext }
type Call = (...args: unknown[]) => unknown

/** Replaces the traced calls of `client` by ones that have a span. */
export function traceCalls(
  client: object,
  tracer: Tracer,
  attributes: Readonly<Record<string, string>>,
): void {
  for (const [name, at] of Object.entries(optionsAt)) {
    const call: unknown = Reflect.get(client, name)
    if (typeof call !== 'function') continue
    const value = (...args: unknown[]): unknown => {
      const options = args[at] as Options | undefined
      const inner = (own: unknown): unknown => {
        const withOwn = [...args]
        withOwn[at] = own
        return Reflect.apply(call as Call, client, withOwn)
      }
      // An inner call, like the `get` of `getJson`, gets no span of its own.
      if (options?.[callContext] !== undefined) return inner(options)
      // Invalid options are left to the validation of the call.
      const isObject = options === undefined || (typeof options === 'object' && options !== null)
      const key = Object.hasOwn(ofKey, name) ? { 'mayfly.key': String(args[0]) } : {}
      return inSpan(tracer, { name: `mayfly.${name}`, attributes: { ...attributes, ...key } }, (context) =>
        inner(isObject ? { ...options, [callContext]: context } : options),
      )
    }
    // On an object that has it, it stays enumerable.
    Object.defineProperty(client, name, { value, configurable: true })
  }
}

/** Runs a call in a span of its own, which ends with its promise or its stream. */
function inSpan<Result>(
  tracer: Tracer,
  { name, attributes }: { name: string; attributes: Readonly<Record<string, string>> },
  call: (context: CallContext | undefined) => Result,
): Result {
  const span = tracer.startSpan(name, { kind: KIND_CLIENT, attributes })
  try {
    const result = call(contextOf(span))
    if (result instanceof Promise) {
      return result.then(
        (value: unknown) => {
          span.end()
          return value
        },
        (error: unknown) => {
          fail(span, error)
          throw error
        },
      ) as Result
    }
    const stream = result as { once(event: string, listener: (error?: unknown) => void): void }
    stream.once('error', (error) => note(span, error))
    stream.once('close', () => span.end())
    return result
  } catch (error) {
    fail(span, error)
    throw error
  }
}

/** None if the span is invalid, as those of a no-op tracer. */
function contextOf(span: Span): CallContext | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext()
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  return isTraceparent(traceparent) ? { request: '', traceparent } : undefined
}

function fail(span: Span, error: unknown): void {
  note(span, error)
  span.end()
}

function note(span: Span, error: unknown): void {
  const { code, message } = asMayflyError(error)
  span.setAttribute('error.type', code)
  span.setStatus({ code: STATUS_ERROR, message })
}
