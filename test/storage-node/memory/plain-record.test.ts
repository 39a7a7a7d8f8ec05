import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../../storage-node/memory/arena.ts'
import { JobMemory } from '../../../storage-node/memory/job-memory.ts'
import {
  type PlainRecord,
  plainBytes,
  plainCharge,
  plainContentBytes,
  writePlain,
} from '../../../storage-node/memory/plain-record.ts'
import {
  chargeOf,
  Kind,
  type RecordFields,
  recordBytes,
  StoredRecord,
  writeRecord,
} from '../../../storage-node/memory/record.ts'
import { SlotTable } from '../../../storage-node/memory/slot-table.ts'
import { type KeyHash, tableHash } from '../../../storage-node/memory/table-hash.ts'

const nothing = Buffer.alloc(0)
const RECORD_BYTES_MAX = 10_000

interface Put {
  readonly key: KeyHash
  readonly version: number
  readonly content: Uint8Array
  readonly metadata?: Buffer
}

function fieldsOf({ key, version, content, metadata = nothing }: Put): RecordFields & { key: KeyHash } {
  const times = { version, base: version, expiresAtMs: 0 }
  const object = { ...times, metadata, checksum: null, kind: Kind.value, bytes: content.length }
  return { key, object, parts: [], content }
}

/** Key and content lie in the middle of other bytes, as in a message. */
function plainOf({ key, version, content }: Put): PlainRecord {
  const keys = Buffer.concat([Buffer.from('before'), key.key, Buffer.from('after')])
  const payload = Buffer.concat([Buffer.from('others'), content, Buffer.from('more')])
  const { bucket, hash } = key
  return {
    bucket,
    hash,
    version,
    keys,
    keyStart: 6,
    keyBytes: key.key.length,
    payload,
    start: 6,
    bytes: content.length,
  }
}

function chargeOfRecord(record: StoredRecord): number {
  const { keyBytes, metadataBytes } = record
  return chargeOf(record, { keyBytes, metadataBytes, apartBytes: 0 })
}

test('a plain record has the bytes, the size and the charge of a record with the same fields', () => {
  const arena = new Arena(1e7)
  const [one, other] = [arena.take(64), arena.take(64)]
  const puts = fc.record({
    bucket: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    name: fc.uint8Array({ minLength: 1, maxLength: 1024 }),
    version: fc.maxSafeNat(),
    content: fc.uint8Array({ maxLength: 8192 }),
  })
  fc.assert(
    fc.property(puts, fc.integer({ min: 0, max: 65_535 }), ({ bucket, name, version, content }, table) => {
      const key = { bucket, key: name, hash: tableHash(name, bucket) }
      const fields = fieldsOf({ key, version, content })
      for (const at of [one, other]) arena.view(at, RECORD_BYTES_MAX).fill(0xff)
      writeRecord(arena, { at: one, table }, fields)
      writePlain(arena, other, table, plainOf({ key, version, content }))
      expect(arena.view(other, RECORD_BYTES_MAX).equals(arena.view(one, RECORD_BYTES_MAX))).toBe(true)
      expect(plainBytes(name.length, content.length)).toBe(recordBytes(fields))
      expect(plainCharge(name.length, content.length)).toBe(chargeOfRecord(new StoredRecord(arena, one)))
      expect(plainContentBytes(arena, one)).toBe(content.length)
    }),
    { numRuns: 200 },
  )
})

const step = fc.tuple(
  fc.constantFrom('plain', 'plain', 'plain', 'set', 'with metadata', 'remove', 'compact'),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 900 }),
)

test('plain puts and all others may follow each other, and the charges add up', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const memory = new JobMemory(new Arena(4e6), () => undefined)
      const table = new SlotTable(memory)
      const model = new Map<number, { content: string; isPlain: boolean }>()
      const keyOf = (number: number): KeyHash => {
        const key = Buffer.from(`key ${number}`)
        return { bucket: number % 3, key, hash: tableHash(key, number % 3) }
      }
      const chargeNow = (key: KeyHash): number => {
        const record = table.find(key)
        return record === undefined ? 0 : chargeOfRecord(record)
      }
      steps.forEach(([kind, number, bytes], version) => {
        const key = keyOf(number)
        const content = Buffer.alloc(bytes, `value ${version} `)
        const before = chargeNow(key)
        if (kind === 'compact') memory.log.compact()
        else if (kind === 'remove') {
          table.remove(key)
          model.delete(number)
        } else if (kind === 'plain') {
          const admitted: number[] = []
          const change = table.setPlain(plainOf({ key, version, content }), {
            admit: (more) => void admitted.push(more),
          })
          if (model.get(number)?.isPlain === false) {
            expect([change, admitted]).toEqual([null, []])
            return
          }
          expect(change).toBe(chargeNow(key) - before)
          expect(admitted).toEqual([change])
          model.set(number, { content: content.toString(), isPlain: true })
        } else {
          const metadata = kind === 'set' ? nothing : Buffer.from('metadata')
          expect(table.set(fieldsOf({ key, version, content, metadata }), table.find(key))).toBe(true)
          model.set(number, { content: content.toString(), isPlain: kind === 'set' })
        }
      })
      expect(table.size).toBe(model.size)
      for (let number = 0; number <= 40; number++)
        expect(table.find(keyOf(number))?.content.toString()).toBe(model.get(number)?.content)
      for (const number of model.keys()) table.remove(keyOf(number))
      expect(memory.log.liveBytes).toBe(0)
    }),
    { numRuns: 200 },
  )
})

test('a plain put that is not admitted changes nothing', () => {
  const table = new SlotTable(new JobMemory(new Arena(4e6), () => undefined))
  const key = { bucket: 0, key: Buffer.from('k'), hash: tableHash(Buffer.from('k'), 0) }
  const refuse = {
    admit: () => {
      throw new Error('full')
    },
  }
  const put = (version: number, bytes: number): PlainRecord =>
    plainOf({ key, version, content: Buffer.alloc(bytes, version) })
  expect(() => table.setPlain(put(1, 100), refuse)).toThrow('full')
  expect(table.find(key)).toBeUndefined()
  table.setPlain(put(2, 100), { admit: () => undefined })
  expect(() => table.setPlain(put(3, 300), refuse)).toThrow('full')
  expect(table.find(key)).toMatchObject({ version: 2, bytes: 100 })
})
