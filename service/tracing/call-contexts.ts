import { AsyncLocalStorage } from 'node:async_hooks'
import type { CallContext } from '../../protocol/wire/call-context.ts'

/**
 * The call context (request id and span) of the running code, in the controller and in metadata servers. Storage nodes pass it as an argument
 * instead, because `AsyncLocalStorage` slows every promise of a process.
 */
export const callContexts = new AsyncLocalStorage<CallContext>()

/** Adds `request`, the id of the HTTP request, to every log line of its context. */
export function withRequest(): { request?: string } {
  return requestOf(callContexts.getStore())
}

/** The id as a field of a log line. */
export function requestOf(context: CallContext | null | undefined): { request?: string } {
  return context?.request ? { request: context.request } : {}
}
