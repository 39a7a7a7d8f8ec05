import { MayflyError } from '../errors.ts'

const nothing = Buffer.alloc(0)

/**
 * Reads little-endian values from a message. Reading past its end is a violation of the protocol by the
 * sender.
 */
export class Reader {
  #memory: Buffer
  #offset: number
  #end: number

  constructor(memory: Buffer = nothing) {
    this.#memory = memory
    this.#offset = 0
    this.#end = memory.length
  }

  /** Starts another message: `bytes` of `memory` from `start`. */
  reset(memory: Buffer, start: number, bytes: number): this {
    this.#memory = memory
    this.#offset = start
    this.#end = start + bytes
    return this
  }

  get remaining(): number {
    return this.#end - this.#offset
  }

  u8(): number {
    return this.#memory[this.#advance(1)] as number
  }

  u16(): number {
    return readU16(this.#memory, this.#advance(2))
  }

  u32(): number {
    return readU32(this.#memory, this.#advance(4))
  }

  u64(): number {
    const low = this.u32()
    const high = this.u32()
    if (high >= 2 ** 21) throw violation('a 64-bit number is above 2^53 - 1')
    return high * 2 ** 32 + low
  }

  /** A view, not a copy: it is valid until the message's handler returns. */
  raw(bytes: number): Buffer {
    const from = this.#advance(bytes)
    return this.#memory.subarray(from, from + bytes)
  }

  get memory(): Buffer {
    return this.#memory
  }

  /** Where in `memory` the next value begins. */
  get offset(): number {
    return this.#offset
  }

  /** Passes over bytes. Returns where in `memory` they begin. */
  skip(bytes: number): number {
    return this.#advance(bytes)
  }

  /** The count of a list whose elements take at least so many bytes each, which bounds allocation. */
  count(elementBytes: number): number {
    const count = this.u32()
    if (count * elementBytes > this.remaining)
      throw violation(`a list announces ${count} elements in ${this.remaining} bytes`)
    return count
  }

  /** Unread bytes would be silently ignored, so they are refused. */
  finish(): void {
    if (this.remaining > 0) throw violation(`a message is ${this.remaining} bytes longer than its fields`)
  }

  #advance(bytes: number): number {
    const from = this.#offset
    if (from + bytes > this.#end) throw violation('a message is shorter than its fields')
    this.#offset = from + bytes
    return from
  }
}

/** Little-endian, without Node's argument checks: the caller guarantees the bounds. */
export function readU16(memory: Uint8Array, offset: number): number {
  return (memory[offset] as number) | ((memory[offset + 1] as number) << 8)
}

export function readU32(memory: Uint8Array, offset: number): number {
  return (
    ((memory[offset] as number) |
      ((memory[offset + 1] as number) << 8) |
      ((memory[offset + 2] as number) << 16) |
      ((memory[offset + 3] as number) << 24)) >>>
    0
  )
}

export function violation(reason: string): MayflyError {
  return new MayflyError('PROTOCOL_VIOLATION', reason)
}
