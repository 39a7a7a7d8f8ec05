import { copyBytes, copyRange } from './copy-bytes.ts'

const GROW_BYTES = 1024

const nothing = Buffer.alloc(0)

/** Appends little-endian values to growing memory. */
export class Writer {
  #memory: Buffer
  #start = 0
  #offset = 0

  /** Writes into `memory` first, then into its own. */
  constructor(memory: Buffer = nothing) {
    this.#memory = memory
  }

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.#offset - this.#start
  }

  /** Bytes that fit before memory has to grow. */
  get room(): number {
    return this.#memory.length - this.#offset
  }

  /** The bytes written since the last call, as one view. It stays unchanged until `reset`. */
  take(): Buffer {
    const taken = this.#memory.subarray(this.#start, this.#offset)
    this.#start = this.#offset
    return taken
  }

  /** Continues in other memory. All written bytes must have been taken. */
  reset(memory: Buffer): void {
    this.#memory = memory
    this.#start = 0
    this.#offset = 0
  }

  /** Discards what was written after `length`. */
  truncate(length: number): void {
    this.#offset = this.#start + length
  }

  u8(value: number): this {
    const offset = this.#advance(1)
    this.#memory[offset] = value
    return this
  }

  u16(value: number): this {
    const offset = this.#advance(2)
    const memory = this.#memory
    memory[offset] = value
    memory[offset + 1] = value >>> 8
    return this
  }

  u32(value: number): this {
    const offset = this.#advance(4)
    writeU32(this.#memory, offset, value)
    return this
  }

  /** A safe integer from 0 to 2^53 - 1, in eight bytes. */
  u64(value: number): this {
    const offset = this.#advance(8)
    // Shifting or storing a byte drops the upper bits.
    writeU32(this.#memory, offset, value)
    writeU32(this.#memory, offset + 4, Math.floor(value / 2 ** 32))
    return this
  }

  raw(bytes: Uint8Array): this {
    const offset = this.#advance(bytes.length)
    copyBytes(bytes, this.#memory, offset)
    return this
  }

  /** As `raw`, for `length` bytes of `memory` from `start` on. */
  rawRange(memory: Uint8Array, start: number, length: number): this {
    const offset = this.#advance(length)
    copyRange(memory, start, length, this.#memory, offset)
    return this
  }

  /** Overwrites four bytes at `position`, counted from the first byte that was not taken. */
  patchU32(position: number, value: number): void {
    writeU32(this.#memory, this.#start + position, value)
  }

  /** Reserves space and returns its offset. Memory must be read after it, because it may be replaced. */
  #advance(bytes: number): number {
    if (this.#offset + bytes > this.#memory.length) this.#grow(bytes)
    const offset = this.#offset
    this.#offset = offset + bytes
    return offset
  }

  #grow(bytes: number): void {
    const pending = this.#memory.subarray(this.#start, this.#offset)
    this.#memory = Buffer.allocUnsafeSlow(Math.max(GROW_BYTES, 2 * (pending.length + bytes)))
    pending.copy(this.#memory)
    this.#start = 0
    this.#offset = pending.length
  }
}

function writeU32(memory: Buffer, offset: number, value: number): void {
  memory[offset] = value
  memory[offset + 1] = value >>> 8
  memory[offset + 2] = value >>> 16
  memory[offset + 3] = value >>> 24
}
