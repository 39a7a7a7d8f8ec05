import { struct, text } from './codec.ts'
import { Reader, violation } from './reader.ts'

/** The context of a request: the HTTP request and the span that caused it. One field may be empty, not both. */
export interface CallContext {
  /** The id of the HTTP request, see `REQUEST_ID_PATTERN`. */
  readonly request: string
  /** The span, as in the header `traceparent` of W3C Trace Context. */
  readonly traceparent: string
}

/** The fields before the head of a request that has a context. */
export const contextCodec = struct({ request: text, traceparent: text })

/** What is accepted as the id of a request: it is repeated in headers and in log lines. */
export const REQUEST_ID_PATTERN = /^[\w.-]{1,64}$/

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

export function isTraceparent(value: string): boolean {
  return TRACEPARENT.test(value)
}

/** Throws `PROTOCOL_VIOLATION`. */
export function readContext(memory: Buffer, start: number, bytes: number): CallContext {
  const reader = new Reader().reset(memory, start, bytes)
  const context = contextCodec.read(reader)
  reader.finish()
  const { request, traceparent } = context
  if (request !== '' && !REQUEST_ID_PATTERN.test(request))
    throw violation('the context of a request has an id that is none')
  if (traceparent !== '' && !isTraceparent(traceparent))
    throw violation('the context of a request has a traceparent that is none')
  return context
}
