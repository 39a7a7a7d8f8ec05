import { randomBytes } from 'node:crypto'
import { asMayflyError } from '../../protocol/errors.ts'
import { operationNames } from '../../protocol/operations/operations.ts'
import type { CallContext } from '../../protocol/wire/call-context.ts'
import { attribute, type SpanExporter } from './span-exporter.ts'

/** OTLP's numbers. */
const KIND_SERVER = 2
const STATUS_ERROR = 2

/** A span of this process beneath that of its caller. */
export interface ServerSpan {
  /** Of requests to other processes. */
  readonly context: CallContext
  /** `error` is why it failed. */
  end(error?: unknown): void
}

/** Records spans only for requests whose caller records one. */
export class Tracing {
  readonly #exporter: Pick<SpanExporter, 'add'>

  constructor(exporter: Pick<SpanExporter, 'add'>) {
    this.#exporter = exporter
  }

  /** Null if the caller records no span. */
  begin(name: string, { request, traceparent }: CallContext): ServerSpan | null {
    if (!isSampled(traceparent)) return null
    const [, traceId = '', parentSpanId = ''] = traceparent.split('-')
    const spanId = randomBytes(8).toString('hex')
    const startTimeUnixNano = nowNano()
    return {
      context: { request, traceparent: `00-${traceId}-${spanId}-01` },
      end: (error) =>
        this.#exporter.add({
          ...{ traceId, spanId, parentSpanId, name, kind: KIND_SERVER },
          startTimeUnixNano,
          endTimeUnixNano: nowNano(),
          attributes: request === '' ? [] : [attribute('mayfly.request', request)],
          status: error === undefined ? {} : { code: STATUS_ERROR, message: asMayflyError(error).message },
        }),
    }
  }

  /** Runs the handler of an operation of the wire in a span. `handle` gets the context of requests to others. */
  run<Result>(
    kind: number,
    context: CallContext,
    handle: (context: CallContext) => Result | Promise<Result>,
  ): Result | Promise<Result> {
    const span = this.begin(operationNames.get(kind) ?? String(kind), context)
    if (span === null) return handle(context)
    try {
      const result = handle(span.context)
      if (!(result instanceof Promise)) {
        span.end()
        return result
      }
      return result.then(
        (value) => {
          span.end()
          return value
        },
        (error: unknown) => {
          span.end(error)
          throw error
        },
      )
    } catch (error) {
      span.end(error)
      throw error
    }
  }
}

/** The last bit of the flags is `sampled`. */
function isSampled(traceparent: string): boolean {
  return traceparent !== '' && (Number.parseInt(traceparent.slice(-2), 16) & 1) === 1
}

/** Wall clock, ns; finer than `Date.now`, so that a span does not begin before that of its caller. */
function nowNano(): string {
  return `${BigInt(Math.round((performance.timeOrigin + performance.now()) * 1_000)) * 1_000n}`
}
