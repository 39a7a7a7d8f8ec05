import { AsyncLocalStorage } from 'node:async_hooks'
import type { CallContext } from '../../protocol/wire/call-context.ts'

/**
 * On whose behalf something happens, in the controller and in metadata servers. Storage nodes pass it on
 * explicitly, as the storage costs each promise of a process.
 */
export const callContexts = new AsyncLocalStorage<CallContext>()

/** Adds `request`, the id of the HTTP request, to every line that is logged on its behalf. */
export function withRequest(): { request?: string } {
  return requestOf(callContexts.getStore())
}

/** The id as a field of a log line. */
export function requestOf(context: CallContext | null | undefined): { request?: string } {
  return context?.request ? { request: context.request } : {}
}
