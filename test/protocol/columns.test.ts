import fc from 'fast-check'
import { expect, test } from 'vitest'
import { array, bytes, type Codec, encode, u32, u64 } from '../../protocol/wire/codec.ts'
import { byteColumn, u32Column, u64Column } from '../../protocol/wire/columns.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { Writer } from '../../protocol/wire/writer.ts'

const strings = fc.array(fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value)))
const words = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }))
const longs = fc.array(fc.maxSafeNat())

test('a column has the encoding of an array, and reads what was written', () => {
  fc.assert(
    fc.property(strings, words, longs, (keys, lengths, versions) => {
      expect(encode(byteColumn, keys)).toEqual(encode(array(bytes), keys))
      expect(encode(u32Column, lengths)).toEqual(encode(array(u32), lengths))
      expect(encode(u64Column, versions)).toEqual(encode(array(u64), versions))
      // Something precedes them, as the fields of a message do.
      const writer = new Writer()
      writer.u8(7)
      byteColumn.write(writer, keys)
      u32Column.write(writer, lengths)
      u64Column.write(writer, versions)
      const reader = new Reader(writer.take())
      reader.u8()
      const read = byteColumn.read(reader)
      expect([...read]).toEqual(keys)
      expect(keys.map((_, index) => read.at(index))).toEqual(keys)
      expect(Array.from(u32Column.read(reader))).toEqual(lengths)
      expect(Array.from(u64Column.read(reader))).toEqual(versions)
      reader.finish()
    }),
  )
})

test.each<[string, Codec<unknown>]>([
  ['byte strings', byteColumn as Codec<unknown>],
  ['u32', u32Column as Codec<unknown>],
  ['u64', u64Column as Codec<unknown>],
])('a column of %s that announces more than there is allocates nothing and is refused', (_, codec) => {
  const announced = Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4])
  expect(() => codec.read(new Reader(announced))).toThrow('announces 4294967295 elements in 4 bytes')
})

test('a byte string that is cut off is refused', () => {
  const whole = encode(byteColumn, [Buffer.from('first'), Buffer.from('second')])
  expect(() => byteColumn.read(new Reader(whole.subarray(0, -1)))).toThrow('shorter than its fields')
})
