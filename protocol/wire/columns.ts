import { bytes as bytesCodec, type Codec } from './codec.ts'
import { readU16, readU32 } from './reader.ts'

/**
 * Lists of messages with many entries. They have the encoding of `array`, and are read without an object for
 * each element.
 */

/** Byte strings, as an array of them, or as `ByteColumn`. */
export interface ByteStrings extends Iterable<Uint8Array> {
  readonly length: number
  at(index: number): Uint8Array | undefined
}

/**
 * Byte strings of up to 65,535 bytes in the memory of their message, each after its length as a u16. Valid until
 * the message's handler returns.
 */
export class ByteColumn implements ByteStrings {
  readonly memory: Buffer
  /** Where each begins. */
  readonly starts: Uint32Array
  /** Where their encoding begins and ends, after the count. */
  readonly begin: number
  readonly end: number

  constructor(memory: Buffer, starts: Uint32Array, { begin, end }: { begin: number; end: number }) {
    this.memory = memory
    this.starts = starts
    this.begin = begin
    this.end = end
  }

  get length(): number {
    return this.starts.length
  }

  bytesAt(index: number): number {
    return readU16(this.memory, (this.starts[index] as number) - 2)
  }

  /** A view. */
  at(index: number): Uint8Array {
    const start = this.starts[index] as number
    return this.memory.subarray(start, start + this.bytesAt(index))
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let index = 0; index < this.length; index++) yield this.at(index)
  }
}

/** As `array(bytes)`. */
export const byteColumn: Codec<ByteStrings> = {
  shape: `[${bytesCodec.shape}]`,
  write: (writer, values) => {
    writer.u32(values.length)
    for (const value of values) bytesCodec.write(writer, value)
  },
  read: (reader) => {
    const count = reader.count(2)
    const starts = new Uint32Array(count)
    const { memory, offset: begin } = reader
    for (let index = 0; index < count; index++) {
      const length = reader.u16()
      starts[index] = reader.skip(length)
    }
    return new ByteColumn(memory, starts, { begin, end: reader.offset })
  },
}

/** As `array(u32)`. */
export const u32Column: Codec<ArrayLike<number>> = {
  shape: '[u32]',
  write: (writer, values) => {
    const { length } = values
    writer.u32(length)
    for (let index = 0; index < length; index++) writer.u32(values[index] as number)
  },
  read: (reader) => {
    const count = reader.count(4)
    const values = new Uint32Array(count)
    const { memory } = reader
    const start = reader.skip(4 * count)
    for (let index = 0; index < count; index++) values[index] = readU32(memory, start + 4 * index)
    return values
  },
}

/** As `array(u64)`. */
export const u64Column: Codec<ArrayLike<number>> = {
  shape: '[u64]',
  write: (writer, values) => {
    const { length } = values
    writer.u32(length)
    for (let index = 0; index < length; index++) writer.u64(values[index] as number)
  },
  read: (reader) => {
    const count = reader.count(8)
    const values = new Float64Array(count)
    for (let index = 0; index < count; index++) values[index] = reader.u64()
    return values
  },
}
