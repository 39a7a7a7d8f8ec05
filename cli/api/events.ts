import { errorOf, isError, MayflyError } from '../../protocol/errors.ts'
import { sleep, systemRuntime } from '../../protocol/runtime.ts'
import { apiOf, type Credentials, noCluster } from './http.ts'

/** An event of the cluster. */
export interface ClusterEvent {
  /** Rises with every event. */
  readonly id: string
  /** `node.lost` and so on; docs/operations.md lists them. */
  readonly type: string
  /** ISO 8601. */
  readonly at: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Pause before a broken stream is opened again. */
const REOPEN_MS = 1_000
/** Far larger than any event; more is not an event stream. */
const EVENT_CHARACTERS_MAX = 2 ** 20

/**
 * The events of the cluster after the id `after`, or from now on, until the signal aborts. If the controller is unavailable, the request is
 * retried, and the stream continues after the last event. Rejects if the controller refuses the request.
 */
export async function* readEvents(
  credentials: Credentials,
  { after, signal, onBroken }: { after: string | null; signal: AbortSignal; onBroken?: () => void },
): AsyncGenerator<ClusterEvent, void, undefined> {
  for (let last = after; !signal.aborted; ) {
    try {
      for await (const event of readStream(credentials, { last, signal })) {
        last = event.id
        yield event
      }
    } catch (error) {
      if (signal.aborted) return
      if (!isError(error, 'UNAVAILABLE')) throw error
      // Without a last event the position is unknown: all retained events are requested.
    }
    onBroken?.()
    await sleep(systemRuntime.clock, REOPEN_MS, signal)
  }
}

/** One connection. Server-sent events: WHATWG HTML, section 9.2. */
async function* readStream(
  credentials: Credentials,
  { last, signal }: { last: string | null; signal: AbortSignal },
): AsyncGenerator<ClusterEvent, void, undefined> {
  const { url } = credentials
  const headers = last === null ? {} : { 'last-event-id': last }
  const response = await apiOf(credentials)
    .open('/v1/events', { headers, signal })
    .catch((cause: unknown) => {
      throw noCluster(url, cause)
    })
  if (!response.ok || response.body === null) {
    const refusal = errorOf(await response.text(), response.status)
    // Transient errors of a controller or a proxy are retried.
    throw response.status < 500 ? refusal : new MayflyError('UNAVAILABLE', refusal.reason, { cause: refusal })
  }
  let rest = ''
  try {
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      rest += text
      const blocks = rest.split('\n\n')
      rest = blocks.pop() ?? ''
      if (rest.length > EVENT_CHARACTERS_MAX)
        throw new MayflyError('PROTOCOL_VIOLATION', `${url} answers with no stream of events`)
      for (const block of blocks) {
        const event = parseEvent(block)
        if (event !== null) yield event
      }
    }
  } catch (cause) {
    if (cause instanceof MayflyError) throw cause
    throw new MayflyError('UNAVAILABLE', `The stream of events of ${url} broke`, { cause })
  }
}

/** Null for a comment, which keeps the connection open. */
function parseEvent(block: string): ClusterEvent | null {
  const fields = new Map(
    block.split('\n').map((line) => {
      const [, name = '', value = ''] = /^(\w*): ?(.*)$/.exec(line) ?? []
      return [name, value] as const
    }),
  )
  const [id, type, text] = [fields.get('id'), fields.get('event'), fields.get('data')]
  if (id === undefined || type === undefined || text === undefined) return null
  const { at, ...data } = JSON.parse(text) as { at: string }
  return { id, type, at, data }
}
