import { errorOf, isError, MayflyError } from '../protocol/errors.ts'
import { CALL_MS_DEFAULT, GET_BYTES_MAX, RETRY_MS_MAX, RETRY_MS_MIN } from '../protocol/limits.ts'
import { backoffMs, sleep, systemRuntime } from '../protocol/runtime.ts'
import { whyNotConnected } from '../protocol/transport/tcp.ts'
import { tlsFault } from '../protocol/transport/tls.ts'
import { type FetchInit, fetchTrusting } from '../protocol/transport/trusting-fetch.ts'
import type { CallContext } from '../protocol/wire/call-context.ts'
import type { CallerOptions, JobOptions } from './options.ts'
import { type callContext, contextIn } from './routing/deadline.ts'

/** A client of the controller's HTTP API. */
export class ControllerApi {
  readonly #url: string
  readonly #urls: readonly string[]
  /** Index of the URL that was reached last. */
  #at = 0
  readonly #apiKey: string
  readonly #ca: () => string | null
  readonly #onRetry: JobOptions['onRetry']
  /** Errors of answers that say that the same request is served soon. */
  readonly #postponed = new WeakSet<MayflyError>()

  /** `url` may be several, separated by commas: of those processes one is the controller. */
  constructor(
    url: string,
    apiKey: string,
    { ca, onRetry }: { ca: () => string | null; onRetry?: JobOptions['onRetry'] },
  ) {
    this.#url = url
    this.#urls = url.split(',')
    this.#apiKey = apiKey
    this.#ca = ca
    this.#onRetry = onRetry
  }

  /** The controller's answer. Rejects with its error, with `TLS_FAILED`, or with `UNAVAILABLE` if nothing answers. */
  async call(method: string, path: string, call: ApiCall = {}): Promise<unknown> {
    return await this.#fetch(method, path, {
      call,
      read: async (response) => JSON.parse(await response.text()),
    })
  }

  /**
   * As `call`, for idempotent requests: repeated until the deadline if the answer is lost, or if a controller that ends
   * leaves the request to the one that takes over. A controller that is unreachable at the first attempt is reported at
   * once, unless another one may be taking over: where several URLs are given, or another machine refuses the connection.
   */
  async repeat(method: string, path: string, call: ApiCall = {}): Promise<unknown> {
    const { clock, random } = systemRuntime
    const untilMs = clock.monotonicMs() + (call.deadlineMs ?? CALL_MS_DEFAULT)
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.call(method, path, {
          ...call,
          deadlineMs: Math.max(1, Math.ceil(untilMs - clock.monotonicMs())),
        })
      } catch (error) {
        const isOnly = attempt === 0 && this.#urls.length === 1
        const pauseMs = backoffMs(attempt, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random)
        const mayRepeat =
          isError(error, 'UNAVAILABLE') &&
          (this.#postponed.has(error) || isLost(error, isOnly ? this.url : null))
        if (!mayRepeat || clock.monotonicMs() + pauseMs >= untilMs) throw error
        this.#tell(attempt + 1, error)
        await sleep(clock, pauseMs)
      }
    }
  }

  /** As the hook of a job's calls. */
  #tell(attempt: number, error: MayflyError): void {
    const hook = this.#onRetry
    if (hook !== undefined) queueMicrotask(() => hook({ attempt, error, address: null, key: null }))
  }

  /** As `call`, for an answer of bytes. Rejects with `OBJECT_TOO_LARGE` above the limit of one Buffer. */
  async bytes(path: string, call: CallerOptions = {}): Promise<Buffer> {
    return await this.#fetch('GET', path, {
      call,
      read: async (response) => {
        const bytes = Number(response.headers.get('content-length') ?? 0)
        if (bytes <= GET_BYTES_MAX) return Buffer.from(await response.arrayBuffer())
        await response.body?.cancel()
        const what = `The object has ${bytes} bytes; get returns up to ${GET_BYTES_MAX} in one Buffer`
        throw new MayflyError('OBJECT_TOO_LARGE', what)
      },
    })
  }

  async #fetch<T>(
    method: string,
    path: string,
    { call, read }: { call: ApiCall; read: (response: Response) => Promise<T> },
  ): Promise<T> {
    const timeout = AbortSignal.timeout(call.deadlineMs ?? CALL_MS_DEFAULT)
    const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal])
    const traceparent = contextIn(call)?.traceparent
    const headers = {
      ...call.headers,
      ...(traceparent !== undefined && { traceparent }),
      authorization: `Bearer ${this.#apiKey}`,
    }
    const content =
      call.body === undefined
        ? { headers }
        : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(call.body) }
    try {
      const response = await this.#reach(path, { method, signal, ...content })
      if (!response.ok) {
        const error = errorOf(await response.text(), response.status)
        if (response.headers.has('retry-after')) this.#postponed.add(error)
        throw error
      }
      return await read(response)
    } catch (cause) {
      if (cause instanceof MayflyError) throw cause
      if (call.signal?.aborted) throw new MayflyError('ABORTED', 'The call was aborted', { cause })
      if (timeout.aborted)
        throw new MayflyError('DEADLINE_EXCEEDED', `The controller at ${this.#url} did not answer`, { cause })
      const { cause: why } = cause as Error
      const fault = tlsFault(why)
      if (fault !== null)
        throw new MayflyError('TLS_FAILED', `The controller at ${this.#url} ${fault}`, { cause })
      const reason = why instanceof Error ? `: ${whyNotConnected(why)}` : ''
      throw new MayflyError('UNAVAILABLE', `The controller at ${this.#url} cannot be reached${reason}`, {
        cause,
      })
    }
  }

  /** The answer to a request, whatever it is. Rejects as `fetch` does. */
  async open(path: string, { headers, signal }: Pick<FetchInit, 'headers' | 'signal'>): Promise<Response> {
    const authorized = { ...headers, authorization: `Bearer ${this.#apiKey}` }
    return await this.#reach(path, { headers: authorized, ...(signal !== undefined && { signal }) })
  }

  /** URL of the controller that was reached last. */
  get url(): string {
    return this.#urls[this.#at] ?? this.#url
  }

  async #reach(path: string, request: FetchInit): Promise<Response> {
    if (this.#urls.length > 1) await this.#choose()
    return await fetchTrusting(new URL(path, this.url), request, this.#ca())
  }

  /**
   * Of several processes only the controller answers. The others refuse connections; one that is suspended or partitioned may accept a
   * connection without answering.
   */
  async #choose(): Promise<void> {
    const asked = this.#urls.map(async (url, index) => {
      const signal = AbortSignal.timeout(CONTROLLER_ANSWER_MS)
      const response = await fetchTrusting(new URL('/healthz', url), { signal }, this.#ca())
      await response.body?.cancel()
      if (!response.ok) throw new Error(`${url} answers with ${response.status}`)
      return index
    })
    this.#at = await Promise.any(asked).catch(() => this.#at)
  }
}

/** A controller that runs answers within milliseconds. */
const CONTROLLER_ANSWER_MS = 2_000

type ApiCall = CallerOptions & {
  body?: unknown
  headers?: Readonly<Record<string, string>>
  [callContext]?: CallContext | undefined
}

/**
 * Whether the request may have been carried out although it has no answer, or was sent while no controller led. `onlyUrl` is that of the
 * first attempt where no other is known, else null. A refused connection counts there if it was refused by another machine, as a Service of
 * Kubernetes does while no controller leads; on this one nobody else would take over, and a name that does not exist is a mistake.
 */
function isLost({ cause }: MayflyError, onlyUrl: string | null): boolean {
  if (!(cause instanceof TypeError)) return false
  const code = codeOf(cause)
  if (BROKEN.includes(code)) return true
  if (!REFUSED.includes(code)) return false
  return onlyUrl === null || (code !== 'ENOTFOUND' && !LOOPBACK.test(new URL(onlyUrl).hostname))
}

/** The system's code of a failed `fetch`. */
function codeOf(error: unknown): string {
  const { code = '' } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException
  return code
}

/** Errors of an established connection. */
const BROKEN = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET']
/** Errors of a connection that was not established. */
const REFUSED = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]

const LOOPBACK = /^(localhost|127\..*|\[::1\])$/
