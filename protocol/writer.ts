const GROW_BYTES = 64 * 1024

/**
 * Appends little-endian values to a buffer that grows. What was written before `take` stays untouched after it,
 * so that the part can wait in a socket while writing goes on behind it.
 */
export class Writer {
  #buffer: Buffer = Buffer.alloc(0)
  #start = 0
  #offset = 0

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.#offset - this.#start
  }

  /** What was written since the last call, as one view without a copy. */
  take(): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#offset)
    this.#start = this.#offset
    return taken
  }

  /** Forgets what was written past `length`. */
  truncate(length: number): void {
    this.#offset = this.#start + length
  }

  u8(value: number): this {
    this.#reserve(1)
    this.#buffer[this.#offset++] = value
    return this
  }

  u16(value: number): this {
    this.#reserve(2)
    this.#offset = this.#buffer.writeUInt16LE(value, this.#offset)
    return this
  }

  u32(value: number): this {
    this.#reserve(4)
    this.#offset = this.#buffer.writeUInt32LE(value, this.#offset)
    return this
  }

  /** A safe integer from 0 to 2^53 - 1, in eight bytes. */
  u64(value: number): this {
    return this.u32(value % 2 ** 32).u32(Math.floor(value / 2 ** 32))
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#offset)
    this.#offset += bytes.length
    return this
  }

  /** Overwrites four bytes at `position`, counted from the first byte that was not taken. */
  patchU32(position: number, value: number): void {
    this.#buffer.writeUInt32LE(value, this.#start + position)
  }

  #reserve(bytes: number): void {
    if (this.#offset + bytes <= this.#buffer.length) return
    const pending = this.#buffer.subarray(this.#start, this.#offset)
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(GROW_BYTES, 2 * (pending.length + bytes)))
    pending.copy(this.#buffer)
    this.#start = 0
    this.#offset = pending.length
  }
}
