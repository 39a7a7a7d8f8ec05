import { isUtf8 } from 'node:buffer'
import { MayflyError } from '../errors.ts'
import { type Reader, violation } from './reader.ts'
import { Writer } from './writer.ts'

/** The encoding of one type. `shape` names the encoding; the protocol version is pinned to all shapes. */
export interface Codec<T> {
  readonly shape: string
  write(writer: Writer, value: T): void
  read(reader: Reader): T
}

/** The encoding of one value. */
export function encode<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new Writer()
  codec.write(writer, value)
  return writer.take()
}

export type ValueOf<C> = C extends Codec<infer T> ? T : never

export const u8: Codec<number> = { shape: 'u8', write: (w, v) => void w.u8(v), read: (r) => r.u8() }
export const u16: Codec<number> = { shape: 'u16', write: (w, v) => void w.u16(v), read: (r) => r.u16() }
export const u32: Codec<number> = { shape: 'u32', write: (w, v) => void w.u32(v), read: (r) => r.u32() }
export const u64: Codec<number> = { shape: 'u64', write: (w, v) => void w.u64(v), read: (r) => r.u64() }

export const flag: Codec<boolean> = {
  shape: 'flag',
  write: (writer, value) => void writer.u8(value ? 1 : 0),
  read: (reader) => {
    const value = reader.u8()
    if (value > 1) throw violation(`a flag is ${value}, not 0 or 1`)
    return value === 1
  },
}

/** Up to 65,535 bytes after a u16 length. Read as a copy, because the message's memory is reused. */
export const bytes: Codec<Uint8Array> = {
  shape: 'bytes',
  write: (writer, value) => {
    if (value.length > 0xffff)
      throw new MayflyError('BAD_REQUEST', `${value.length} bytes do not fit a field`)
    writer.u16(value.length).raw(value)
  },
  read: (reader) => Buffer.from(reader.raw(reader.u16())),
}

/** UTF-8 text after a u16 length. */
export const text: Codec<string> = {
  shape: 'text',
  // Most texts of the hot path are empty.
  write: (writer, value) => (value === '' ? void writer.u16(0) : bytes.write(writer, Buffer.from(value))),
  read: (reader) => {
    const length = reader.u16()
    if (length === 0) return ''
    const raw = reader.raw(length)
    if (!isUtf8(raw)) throw violation('a text is not UTF-8')
    return raw.toString()
  },
}

/** A flag, and the value if it is 1; null if it is 0. */
export function optional<T>(value: Codec<T>): Codec<T | null> {
  return {
    shape: `?${value.shape}`,
    write: (writer, given) => {
      flag.write(writer, given !== null)
      if (given !== null) value.write(writer, given)
    },
    read: (reader) => (flag.read(reader) ? value.read(reader) : null),
  }
}

/** A u32 count, then the elements. Every element takes at least a byte, which bounds allocation. */
export function array<T>(element: Codec<T>): Codec<readonly T[]> {
  return {
    shape: `[${element.shape}]`,
    write: (writer, values) => {
      writer.u32(values.length)
      for (const value of values) element.write(writer, value)
    },
    read: (reader) => {
      const count = reader.count(1)
      const values: T[] = []
      for (let index = 0; index < count; index++) values.push(element.read(reader))
      return values
    },
  }
}

/** The fields in order. */
export function struct<Shape extends Record<string, unknown>>(
  fields: {
    [Name in keyof Shape]: Codec<Shape[Name]>
  },
): Codec<Shape> {
  const entries = Object.entries(fields) as [keyof Shape & string, Codec<unknown>][]
  return {
    shape: `{${entries.map(([name, codec]) => `${name}:${codec.shape}`).join(',')}}`,
    write: (writer, value) => {
      for (const [name, codec] of entries) codec.write(writer, value[name])
    },
    read: (reader) => {
      const value: Partial<Record<string, unknown>> = {}
      for (const [name, codec] of entries) value[name] = codec.read(reader)
      return value as Shape
    },
  }
}

/** A handwritten codec, equivalent to the declared one. */
export interface HandCodec<T> extends Codec<T> {
  readonly declared: Codec<T>
}

/**
 * For messages of the hot path, in which a loop over declared fields would dominate the cost. A test compares
 * both. Byte strings may be read as views, valid until the message's handler returns.
 */
export function byHand<T>(declared: Codec<T>, hand: Pick<Codec<T>, 'write' | 'read'>): HandCodec<T> {
  return { shape: declared.shape, declared, write: hand.write, read: hand.read }
}
