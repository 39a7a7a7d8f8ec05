import type { Reply } from '../../service/server/handlers.ts'
import type { JobMemory } from './job-memory.ts'
import type { Piece } from './payload.ts'
import { Pin } from './pin.ts'

/** A reply whose payload lies in the arena: whoever keeps the reply holds its pin. */
export interface PinnedReply<Head> extends Reply<Head> {
  readonly pin?: Pin
}

/**
 * A reply with a piece of an object. What lies in runs is pinned until it is sent. What lies in a record is copied when
 * the reply is sent; a reply that is not sent in this turn of the event loop has to be `kept`.
 */
export function pinnedReply<Head>(head: Head, memory: JobMemory, { views, runs }: Piece): PinnedReply<Head> {
  const [first] = views
  if (runs.length === 0) return first === undefined ? { head } : { head, payload: first }
  const pin = new Pin(memory, runs)
  return { head, payload: views, pin, sent: () => pin.release() }
}

/** The reply with a payload that stays as it is, however long the reply is kept. */
export function detached<Head>(reply: PinnedReply<Head>): PinnedReply<Head> {
  const { payload, pin } = reply
  if (pin !== undefined || !(payload instanceof Uint8Array)) return reply
  return { ...reply, payload: Buffer.from(payload) }
}
