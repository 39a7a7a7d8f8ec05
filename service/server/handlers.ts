import type { Operation } from '../../protocol/operations/operation.ts'
import type { Payload } from '../../protocol/transport/outbox.ts'
import type { Frame, Landing } from '../../protocol/wire/frame.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { Peer } from './peer.ts'

export interface Reply<Head> {
  readonly head: Head
  readonly payload?: Payload
  /** The payload's memory may change once the handler has returned: all of it is copied before that. */
  readonly transient?: boolean
  /** Called once, when nobody reads the payload's memory any more: it was copied or written, or the connection is gone. */
  readonly sent?: () => void
}

/** A request's payload where it was received. All of it but the memory that is `owned` is valid until the handler returns. */
export type Received = Pick<
  Frame,
  'id' | 'payload' | 'payloadMemory' | 'payloadStart' | 'payloadBytes' | 'owned' | 'landing'
>

type Handle<Request, Head> = (
  peer: Peer,
  request: Request,
  payload: Received,
) => Reply<Head> | Promise<Reply<Head>>

/**
 * Asked for the memory of a payload that does not arrive with its header; null is a buffer of its own. The handler
 * finds it in `landing`; where it is never called for that request, the landing is abandoned.
 */
type Land = (peer: Peer, payloadBytes: number) => Landing | null

interface Entry {
  readonly operation: Operation<unknown, unknown>
  readonly handle: Handle<unknown, unknown>
  readonly land: Land | undefined
  /** One key and at most a chunk of bytes: microseconds. */
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
