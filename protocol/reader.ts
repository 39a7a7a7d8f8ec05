import { MayflyError } from './errors.ts'

/** Reads little-endian values from a message; a read past its end is the sender's violation of the protocol. */
export class Reader {
  readonly #buffer: Buffer
  #offset = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  get remaining(): number {
    return this.#buffer.length - this.#offset
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#advance(1))
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#advance(2))
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#advance(4))
  }

  u64(): number {
    const low = this.u32()
    const high = this.u32()
    if (high >= 2 ** 21) throw violation('a 64-bit number is above 2^53 - 1')
    return high * 2 ** 32 + low
  }

  /** A view, not a copy: it lives as long as the message does. */
  raw(bytes: number): Buffer {
    const from = this.#advance(bytes)
    return this.#buffer.subarray(from, from + bytes)
  }

  /** What is left over would be silently ignored, so it is refused. */
  finish(): void {
    if (this.remaining > 0) throw violation(`a message is ${this.remaining} bytes longer than its fields`)
  }

  #advance(bytes: number): number {
    const from = this.#offset
    if (from + bytes > this.#buffer.length) throw violation('a message is shorter than its fields')
    this.#offset = from + bytes
    return from
  }
}

export function violation(reason: string): MayflyError {
  return new MayflyError('PROTOCOL_VIOLATION', reason)
}
