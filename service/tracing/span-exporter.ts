import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'

/** A finished span, as OTLP's JSON has it. */
export interface ExportedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[]
  readonly status: { readonly code?: number; readonly message?: string }
}

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue: string }
}

/** How long the first span of a batch waits for others. */
const BATCH_MS = 1_000
/** Spans in one request: about 200 KiB. */
const BATCH_SPANS = 512
/** Spans queued while the collector does not answer; further ones are dropped. */
const WAITING_SPANS_MAX = 4 * BATCH_SPANS

/** Counts and reports failures. */
interface Attempts {
  attempt(task: readonly ['sendSpans', string], work: () => Promise<void>): Promise<boolean>
}

interface SpanExporterOptions {
  /** Of the collector: `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  /** Names this process in traces. */
  readonly service: string
  readonly instance: string
  readonly clock: Clock
  readonly background: Attempts
}

/** Sends finished spans to an OpenTelemetry collector, in batches, as OTLP over HTTP with JSON. */
export class SpanExporter {
  readonly #options: SpanExporterOptions
  #waiting: ExportedSpan[] = []
  #sending: Promise<void> | null = null

  constructor(options: SpanExporterOptions) {
    this.#options = options
  }

  add(span: ExportedSpan): void {
    if (this.#waiting.length >= WAITING_SPANS_MAX) return
    this.#waiting.push(span)
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null
    })
  }

  /** Sends the queued spans. */
  async stop(): Promise<void> {
    const last = this.#waiting.splice(0, BATCH_SPANS)
    if (last.length > 0) await this.#send(last)
  }

  async #sendAll(): Promise<void> {
    const { clock } = this.#options
    while (this.#waiting.length > 0) {
      await new Promise<void>((resolve) => clock.after(BATCH_MS, resolve).unref())
      const batch = this.#waiting.splice(0, BATCH_SPANS)
      if (batch.length > 0) await this.#send(batch)
    }
  }

  /** A batch that cannot be sent is dropped. */
  async #send(spans: readonly ExportedSpan[]): Promise<void> {
    const { url, service, instance, background } = this.#options
    const attributes = [attribute('service.name', service), attribute('service.instance.id', instance)]
    const scopeSpans = [{ scope: { name: 'mayfly-server' }, spans }]
    const body = JSON.stringify({ resourceSpans: [{ resource: { attributes }, scopeSpans }] })
    const headers = { 'content-type': 'application/json' }
    await background.attempt(['sendSpans', ''], async () => {
      const signal = AbortSignal.timeout(CONTROL_CALL_MS)
      const response = await fetch(url, { method: 'POST', headers, body, signal }).catch((cause: unknown) => {
        throw new MayflyError('UNAVAILABLE', `The collector at ${url} does not answer`, { cause })
      })
      await response.body?.cancel()
      if (!response.ok)
        throw new MayflyError('UNAVAILABLE', `The collector at ${url} answered ${response.status}`)
    })
  }
}

export function attribute(key: string, stringValue: string): Attribute {
  return { key, value: { stringValue } }
}
