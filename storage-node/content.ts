import { MayflyError } from '../protocol/errors.ts'
import { APPEND_BYTES_MAX } from '../protocol/limits.ts'
import { type Manifest, manifestBytes } from '../protocol/manifest.ts'

/** What an object is made of where its key's owner keeps it. */
export type Content = Buffer | Manifest | Appended | Remote

/** Bytes that a handoff has announced and not yet brought. They lie on the slot's owner before this one. */
export class Remote {
  readonly bytes: number

  constructor(bytes: number) {
    this.bytes = bytes
  }
}

/** The smallest and the largest buffer that appending allocates at once. */
const PART_BYTES_MIN = 4 * 1024
const PART_BYTES_MAX = 256 * 1024

/** An object that grows by appending, as a list of buffers of which the last has room to spare. */
export class Appended {
  readonly #parts: Buffer[] = []
  #used = 0
  #capacityBytes = 0
  bytes = 0

  /** Of all buffers together. */
  get capacityBytes(): number {
    return this.#capacityBytes
  }

  /** The capacity once `bytes` more are here: what they will cost. Throws `OBJECT_TOO_LARGE` over the limit. */
  capacityWith(bytes: number): number {
    if (this.bytes + bytes > APPEND_BYTES_MAX) {
      throw new MayflyError('OBJECT_TOO_LARGE', `An object grows by append up to ${APPEND_BYTES_MAX} bytes`)
    }
    const missing = bytes - this.#spareBytes()
    return this.#capacityBytes + (missing <= 0 ? 0 : this.#partBytes(missing))
  }

  append(bytes: Buffer): void {
    const fitting = Math.min(bytes.length, this.#spareBytes())
    if (fitting > 0) {
      bytes.copy(this.#parts.at(-1) as Buffer, this.#used, 0, fitting)
      this.#used += fitting
    }
    const rest = bytes.length - fitting
    if (rest > 0) {
      const part = Buffer.allocUnsafeSlow(this.#partBytes(rest))
      bytes.copy(part, 0, fitting)
      this.#parts.push(part)
      this.#capacityBytes += part.length
      this.#used = rest
    }
    this.bytes += bytes.length
  }

  /** A copy of up to `bytes` from `offset`. */
  slice(offset: number, bytes: number): Buffer {
    const last = this.#parts.length - 1
    const pieces: Buffer[] = []
    let skip = offset
    let left = Math.min(bytes, this.bytes - offset)
    this.#parts.forEach((part, index) => {
      const length = index === last ? this.#used : part.length
      if (left > 0 && skip < length) {
        const piece = part.subarray(skip, Math.min(length, skip + left))
        pieces.push(piece)
        left -= piece.length
      }
      skip = Math.max(0, skip - length)
    })
    return Buffer.concat(pieces)
  }

  #spareBytes(): number {
    return (this.#parts.at(-1)?.length ?? 0) - this.#used
  }

  /** As large as what is there already, so that appending costs a constant number of copies for each byte. */
  #partBytes(rest: number): number {
    return Math.max(rest, Math.min(PART_BYTES_MAX, Math.max(PART_BYTES_MIN, this.bytes)))
  }
}

/** The object's length. */
export function contentBytes(content: Content): number {
  if (Buffer.isBuffer(content)) return content.length
  return content instanceof Appended || content instanceof Remote ? content.bytes : manifestBytes(content)
}

/** What the content takes on this node; the chunks behind a manifest count where they lie. */
export function contentCharge(content: Content): number {
  if (content instanceof Appended) return content.capacityBytes
  return isManifest(content) ? 0 : contentBytes(content)
}

export function isManifest(content: Content): content is Manifest {
  return Array.isArray(content)
}
