import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Codec, HandCodec } from '../../protocol/wire/codec.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { Writer } from '../../protocol/wire/writer.ts'

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const u64 = fc.maxSafeNat()
const u8 = fc.integer({ min: 0, max: 255 })
const checksum = fc.option(u32)
const address = {
  epoch: u32,
  bucket: u32,
  key: fc.uint8Array({ minLength: 1, maxLength: 1024 }).map((key) => Buffer.from(key)),
  lane: fc.integer({ min: 0, max: 2 ** 16 - 1 }),
  sequence: u64,
}
const runs = fc.array(
  fc.record({ count: fc.integer({ min: 1, max: 9 }), chunkBytes: fc.integer({ min: 1, max: 99 }) }),
)

const { put, get } = dataOperations

/** Every hand-written codec, with values to encode. */
const codecs: readonly [string, HandCodec<never>, fc.Arbitrary<object>][] = [
  [
    'put',
    put.request as HandCodec<never>,
    fc.record({
      ...address,
      condition: u8,
      ifVersion: u64,
      ttlSeconds: u32,
      metadata: fc.array(fc.record({ name: fc.string(), value: fc.string() }), { maxLength: 5 }),
      checksum,
      keptBucket: fc.string(),
    }),
  ],
  ['version', put.reply as HandCodec<never>, fc.record({ version: u64 })],
  [
    'get',
    get.request as HandCodec<never>,
    fc.record({ ...address, consume: fc.boolean(), waitMs: u32, version: u64, offset: u64, length: u32 }),
  ],
  [
    'got',
    get.reply as HandCodec<never>,
    fc.record({
      version: u64,
      kind: u8,
      bytes: u64,
      checksum,
      consumed: fc.boolean(),
      manifest: runs,
      lease: u64,
    }),
  ],
]

function encode(codec: Codec<never>, value: object): Buffer {
  const writer = new Writer()
  codec.write(writer, value as never)
  return writer.take()
}

test.each(codecs)('%s written out by hand is what is declared', (_, codec, values) => {
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encode(codec, value)
      expect(bytes.equals(encode(codec.declared, value))).toBe(true)
      const reader = new Reader(bytes)
      expect(codec.read(reader)).toEqual(value)
      reader.finish()
    }),
  )
})
