import type { Operation } from '../../protocol/operations/operation.ts'
import type { Payload } from '../../protocol/transport/outbox.ts'
import type { Frame, Landing } from '../../protocol/wire/frame.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { Peer } from './peer.ts'

export interface Reply<Head> {
  readonly head: Head
  readonly payload?: Payload
  /** The payload's memory may change once the handler has returned: all of it is copied before. */
  readonly transient?: boolean
  /**
   * Called once, when the payload's memory is no longer read: it was copied or written, or the connection is
   * gone.
   */
  readonly sent?: () => void
}

/** A request's payload in its receive memory, valid until the handler returns unless `owned`. */
export type Received = Pick<
  Frame,
  'id' | 'context' | 'payload' | 'payloadMemory' | 'payloadStart' | 'payloadBytes' | 'owned' | 'landing'
>

type Handle<Request, Head> = (
  peer: Peer,
  request: Request,
  payload: Received,
) => Reply<Head> | Promise<Reply<Head>>

/**
 * Chooses the memory for a payload that does not arrive with its header; null allocates a buffer. The handler
 * finds it in `landing`; if the handler is never called, the landing is abandoned.
 */
type Land = (peer: Peer, payloadBytes: number) => Landing | null

interface Entry {
  readonly operation: Operation<unknown, unknown>
  readonly handle: Handle<unknown, unknown>
  readonly land: Land | undefined
  /** One key and at most one chunk of bytes: microseconds. */
  readonly isShort: boolean
}

/** The operations that a server offers. */
export class Handlers {
  /** By number. */
  readonly #entries: (Entry | undefined)[] = []

  on<Request, Head>(
    operation: Operation<Request, Head>,
    handle: Handle<Request, Head>,
    { land, isShort = false }: { land?: Land; isShort?: boolean } = {},
  ): this {
    this.#entries[operation.number] = { operation, handle, land, isShort } as Entry
    return this
  }

  get(kind: number): Entry {
    const entry = this.#entries[kind]
    if (entry === undefined) throw violation(`operation ${kind} is not offered here`)
    return entry
  }
}
