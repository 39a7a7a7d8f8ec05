import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../../storage-node/memory/arena.ts'
import {
  encodeLocation,
  isOnLowerTier,
  Kind,
  recordBytes,
  StoredRecord,
  writeRecord,
} from '../../../storage-node/memory/record.ts'
import { hasKey, RecordKey } from '../../../storage-node/memory/record-key.ts'
import { tableHash } from '../../../storage-node/memory/table-hash.ts'

const long = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

const fields = fc.record({
  bucket: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  key: fc.uint8Array({ minLength: 1, maxLength: 1024 }),
  version: long,
  base: long,
  sameBase: fc.boolean(),
  expiresAtMs: fc.constantFrom(0, 1, 1_800_000_000_000, Number.MAX_SAFE_INTEGER),
  metadata: fc.uint8Array({ maxLength: 300 }),
  checksum: fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  kind: fc.constantFrom(...Object.values(Kind)),
  parts: fc.array(
    fc.record({ at: fc.integer({ min: 0, max: 2 ** 32 - 1 }), blocks: fc.integer({ min: 1, max: 2 ** 20 }) }),
    {
      maxLength: 2_000,
      size: 'max',
    },
  ),
  content: fc.uint8Array({ maxLength: 8192 }),
})

test('a record gives back what was written, and its own length', () => {
  const arena = new Arena(1e7)
  const at = arena.take(64)
  fc.assert(
    fc.property(fields, fc.integer({ min: 0, max: 65_535 }), ({ sameBase, ...drawn }, table) => {
      const base = sameBase ? drawn.version : drawn.base
      const bare = drawn.kind === Kind.remote || drawn.kind === Kind.appended || drawn.parts.length > 0
      const below = isOnLowerTier(drawn.kind)
      const inline = below ? encodeLocation({ tier: 1, record: table }) : drawn.content
      const parts = below ? [] : drawn.parts
      const content = bare && !below ? new Uint8Array(0) : inline
      const bytes = bare || below ? drawn.content.length : content.length
      const written = {
        ...drawn,
        parts,
        base,
        content,
        bytes: drawn.kind === Kind.appended && drawn.parts.length === 0 ? 0 : bytes,
      }
      const fields = { key: written, object: written, parts, content }
      writeRecord(arena, { at, table }, fields)
      const read = new StoredRecord(arena, at)
      expect(read).toMatchObject({
        bucket: written.bucket,
        version: written.version,
        base,
        expiresAtMs: written.expiresAtMs,
        checksum: written.checksum,
        kind: written.kind,
        bytes: written.bytes,
        table,
      })
      expect(read.recordBytes).toBe(recordBytes(fields))
      expect(read.key.equals(written.key)).toBe(true)
      expect(read.metadata.equals(written.metadata)).toBe(true)
      expect(read.parts).toEqual(written.parts)
      expect(read.content.equals(content)).toBe(true)
      if (below) expect(read.location).toEqual({ tier: 1, record: table })
      for (const reads of [0, 3, 40]) {
        read.reads = reads
        expect(read.reads).toBe(Math.min(31, reads))
        expect(new StoredRecord(arena, at)).toMatchObject({
          keyBytes: read.keyBytes,
          metadataBytes: read.metadataBytes,
        })
      }
      expect(read.hash).toBe(tableHash(written.key, written.bucket))
      const inPlace = new RecordKey().read(arena, at)
      expect(inPlace.bytes.equals(written.key)).toBe(true)
      expect([inPlace.bucket, inPlace.expiresAtMs]).toEqual([written.bucket, written.expiresAtMs])
      const has = ({ bucket, key }: { bucket: number; key: Uint8Array }) =>
        hasKey(arena, at, bucket, Buffer.concat([Buffer.from('ab'), key]), 2, key.length)
      expect(has(written)).toBe(true)
      expect(has({ ...written, bucket: written.bucket ^ 1 })).toBe(false)
      expect(has({ ...written, key: written.key.map((byte) => byte ^ 1) })).toBe(false)
    }),
    { numRuns: 300 },
  )
})

test('a key in place compares as its bytes do, however long it is', () => {
  const arena = new Arena(1e7)
  const at = arena.take(64)
  const object = { version: 1, base: 1, expiresAtMs: 0, metadata: Buffer.alloc(0), checksum: null }
  // Few different bytes, so that keys have much in common.
  const bytes = (minLength: number) =>
    fc.oneof(
      fc.uint8Array({ minLength, maxLength: 6, max: 1 }),
      fc.uint8Array({ minLength, maxLength: 120, max: 1 }),
      fc.uint8Array({ minLength, maxLength: 60 }),
    )
  fc.assert(
    fc.property(bytes(1), bytes(0), fc.nat({ max: 130 }), (key, drawn, cut) => {
      const fields = { key: { bucket: 1, key }, object: { ...object, kind: Kind.value, bytes: 0 } }
      writeRecord(arena, { at, table: 1 }, { ...fields, parts: [], content: Buffer.alloc(0) })
      const inPlace = new RecordKey().read(arena, at)
      for (const other of [drawn, key, key.slice(0, cut), Buffer.concat([key, drawn])]) {
        expect(Math.sign(inPlace.compare(other))).toBe(Buffer.compare(key, other))
        expect(inPlace.startsWith(other)).toBe(Buffer.from(key).subarray(0, other.length).equals(other))
      }
    }),
    { numRuns: 500 },
  )
})
