import type { ServerResponse } from 'node:http'
import { type Clock, repeat } from '../../protocol/runtime.ts'
import { EVENT_STREAM_BYTES_MAX, EVENT_STREAM_HEARTBEAT_MS } from '../limits.ts'

/** One response of server-sent events (WHATWG HTML, section 9.2). A reader that falls behind by `EVENT_STREAM_BYTES_MAX` is disconnected. */
export function openEventStream(response: ServerResponse, clock: Clock) {
  response.shouldKeepAlive = false
  // A reader that has left is noticed when the response closes.
  response.on('error', () => undefined)
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.flushHeaders()
  const write = (text: string): void => {
    if (response.destroyed || response.writableEnded) return
    if (response.writableLength > EVENT_STREAM_BYTES_MAX) response.destroy()
    else response.write(text)
  }
  const heartbeat = repeat(clock, EVENT_STREAM_HEARTBEAT_MS, () => write(':\n\n'))
  response.once('close', () => heartbeat.cancel())
  return { write, end: (): void => void response.end() }
}
