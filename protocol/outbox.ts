import type { Codec } from './codec.ts'
import type { Link } from './link.ts'
import { Writer } from './writer.ts'

/** Up to this size copying a payload behind its head costs less than one more entry in a gathered write. */
const COPY_BYTES_MAX = 8 * 1024

const nothing = Buffer.alloc(0)

/** What goes out: an operation's number and fields in a request, 0 or an error's number in a reply. */
export interface Outgoing<T> {
  readonly id: number
  readonly kind: number
  readonly codec: Codec<T>
  readonly head: T
  /** Not copied above 8 KiB: it must not change until it is sent. */
  readonly payload?: Uint8Array | undefined
}

/** Encodes frames for one link; all that one turn of the event loop produces leaves in one write. */
export class Outbox {
  readonly #link: Link
  readonly #writer = new Writer()
  #parts: Uint8Array[] = []
  #scheduled = false

  constructor(link: Link) {
    this.#link = link
  }

  /** Queues one frame. Throws, with nothing queued, if the head has a value that its codec cannot carry. */
  send<T>(frame: Outgoing<T>): void {
    const payload = frame.payload ?? nothing
    const writer = this.#writer
    const start = writer.length
    writer.u32(0).u32(payload.length).u32(frame.id).u16(frame.kind).u16(0)
    const headStart = writer.length
    try {
      frame.codec.write(writer, frame.head)
    } catch (error) {
      writer.truncate(start)
      throw error
    }
    writer.patchU32(start, writer.length - headStart)
    if (payload.length <= COPY_BYTES_MAX) writer.raw(payload)
    else this.#parts.push(writer.take(), payload)
    this.#schedule()
  }

  /** Writes what is queued, now. */
  flush(): void {
    this.#scheduled = false
    if (this.#writer.length > 0) this.#parts.push(this.#writer.take())
    if (this.#parts.length === 0) return
    const parts = this.#parts
    this.#parts = []
    this.#link.write(parts)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      if (this.#scheduled) this.flush()
    })
  }
}
