import { ByteRanges } from '../../protocol/wire/byte-ranges.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { JobMemory } from './job-memory.ts'
import type { Piece } from './payload.ts'
import { Pin } from './pin.ts'

/** A reply whose payload is in the arena; whoever retains the reply holds its pin. */
export interface PinnedReply<Head> extends Reply<Head> {
  readonly pin?: Pin
}

/**
 * A reply with a range of an object. Runs are pinned until it is sent. Bytes in a record are copied when the
 * reply is sent; a reply that is sent in a later turn of the event loop must be `detached` first.
 */
export function pinnedReply<Head>(head: Head, memory: JobMemory, { views, runs }: Piece): PinnedReply<Head> {
  const [first] = views
  if (runs.length === 0) return first === undefined ? { head } : { head, payload: first }
  const pin = new Pin(memory, runs)
  return { head, payload: views, pin, sent: () => pin.release() }
}

/** The reply with a payload that no longer depends on the arena, or is pinned. */
export function detached<Head>(reply: PinnedReply<Head>): PinnedReply<Head> {
  const { payload, pin } = reply
  if (payload instanceof ByteRanges) return { ...reply, payload: payload.copy() }
  if (pin !== undefined || !(payload instanceof Uint8Array)) return reply
  return { ...reply, payload: Buffer.from(payload) }
}
