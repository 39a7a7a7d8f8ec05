import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../../storage-node/memory/arena.ts'
import { JobMemory } from '../../../storage-node/memory/job-memory.ts'
import { Kind, type RecordFields } from '../../../storage-node/memory/record.ts'
import { SlotTable } from '../../../storage-node/memory/slot-table.ts'
import { type KeyHash, tableHash } from '../../../storage-node/memory/table-hash.ts'

const nothing = Buffer.alloc(0)

function newMemory(bytes = 4e6): JobMemory {
  return new JobMemory(new Arena(bytes), () => undefined)
}

function fieldsOf(of: KeyHash, version: number, content: Buffer): RecordFields & { key: KeyHash } {
  const bytes = content.length
  const times = { version, base: version, expiresAtMs: 0 }
  const object = { ...times, metadata: nothing, checksum: null, kind: Kind.value, bytes }
  return { key: of, object, parts: [], content }
}

function keyOf(number: number, hash?: number): KeyHash {
  const key = Buffer.from(`key ${number}`)
  const bucket = number % 3
  return { bucket, key, hash: hash ?? tableHash(key, bucket) }
}

function contentOf(version: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, `value ${version} `)
}

/** Everything that a whole scan visits, as `key@version`; `between` is called between its steps. */
function scanAll(table: SlotTable, cells: number, between: () => void = () => undefined): string[] {
  const visited: string[] = []
  for (let from: number | null = 0; from !== null; ) {
    from = table.scan(from, cells, (record) => visited.push(`${record.key.toString()}@${record.version}`))
    between()
  }
  return visited.sort()
}

const step = fc.tuple(
  fc.constantFrom('set', 'set', 'set', 'remove', 'compact'),
  fc.integer({ min: 0, max: 60 }),
  fc.integer({ min: 0, max: 900 }),
)

test('a table is a map, whatever is set, removed and compacted, and holds no memory at the end', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const memory = newMemory()
      const table = new SlotTable(memory)
      const model = new Map<number, Buffer>()
      steps.forEach(([kind, number, bytes], version) => {
        const of = keyOf(number)
        if (kind === 'compact') memory.log.compact()
        else if (kind === 'remove') {
          table.remove(of)
          model.delete(number)
        } else {
          const content = contentOf(version, bytes)
          expect(table.set(fieldsOf(of, version, content), table.find(of))).toBe(true)
          model.set(number, content)
        }
      })
      expect(table.size).toBe(model.size)
      for (let number = 0; number <= 60; number++) {
        const found = table.find(keyOf(number))
        expect(found?.content.toString()).toBe(model.get(number)?.toString())
      }
      const records = [...model.keys()].map((number) => table.find(keyOf(number))?.recordBytes ?? 0)
      expect(memory.log.liveBytes).toBe(records.reduce((sum, bytes) => sum + bytes, 0))
      expect(scanAll(table, 5)).toHaveLength(model.size)
      for (const number of model.keys()) table.remove(keyOf(number))
      expect(memory.log.liveBytes).toBe(0)
      expect(memory.takenBytes).toBe(memory.log.pagesBytes)
    }),
    { numRuns: 200 },
  )
})

test('keys whose hashes are equal, or lie side by side at the end of the table, are told apart', () => {
  const hashes = [0, 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1]
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.boolean()), { maxLength: 200 }),
      (steps) => {
        const table = new SlotTable(newMemory())
        const model = new Map<number, number>()
        const key = (number: number): KeyHash => keyOf(number, hashes[number % hashes.length])
        steps.forEach(([number, isSet], version) => {
          if (isSet) {
            table.set(fieldsOf(key(number), version, nothing), table.find(key(number)))
            model.set(number, version)
          } else {
            table.remove(key(number))
            model.delete(number)
          }
        })
        for (let number = 0; number <= 40; number++) {
          expect(table.find(key(number))?.version).toBe(model.get(number))
        }
        expect(scanAll(table, 3)).toEqual(
          [...model].map(([number, version]) => `key ${number}@${version}`).sort(),
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('what is there during a whole scan is visited exactly once, though the table grows and shrinks meanwhile', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 299 })),
      (stay, cells, changes) => {
        const table = new SlotTable(newMemory())
        for (let number = 0; number < stay; number++)
          table.set(fieldsOf(keyOf(number), 1, nothing), undefined)
        let next = 0
        const change = (): void => {
          for (const number of changes.slice(next, next + 10)) {
            const of = keyOf(1_000 + number)
            if (table.find(of) === undefined) table.set(fieldsOf(of, 2, nothing), undefined)
            else table.remove(of)
          }
          next += 10
        }
        const visited = scanAll(table, cells, change).filter((name) => name.endsWith('@1'))
        expect(visited).toEqual(Array.from({ length: stay }, (_, number) => `key ${number}@1`).sort())
      },
    ),
    { numRuns: 200 },
  )
})

test('a table that had many keys and has few again is small again', () => {
  const table = new SlotTable(newMemory(1e8))
  for (let number = 0; number < 20_000; number++) table.set(fieldsOf(keyOf(number), 1, nothing), undefined)
  for (let number = 10; number < 20_000; number++) table.remove(keyOf(number))
  let steps = 0
  for (let from: number | null = 0; from !== null; steps++) from = table.scan(from, 64, () => undefined)
  expect(steps).toBeLessThanOrEqual(2)
  expect(table.size).toBe(10)
})

test('a full arena takes records as long as a fifth of it is dead, however long they are and wherever the holes are', () => {
  for (const mib of [4, 8, 16, 32]) {
    const arena = new Arena(mib * 2 ** 20)
    const memory = new JobMemory(arena, () => undefined)
    const table = new SlotTable(memory)
    const liveBytesMax = 0.9 * mib * 2 ** 20
    const set = (of: KeyHash, version: number, bytes: number): void => {
      const attempt = (): boolean =>
        table.set(fieldsOf(of, version, contentOf(version, bytes)), table.find(of))
      if (!attempt()) memory.retryCompacting(attempt)
    }
    const bytesOf: number[] = []
    const long: number[] = []
    // Like objects that leave RAM: long records become short in random order, and stay.
    for (let round = 0; round < mib * 1_500; round++) {
      const bytes = round % 3 === 0 ? 1_000 : (round * 7_919) % 8_000
      set(keyOf(round), 1, bytes)
      bytesOf.push(bytes)
      long.push(round)
      while (memory.log.liveBytes > liveBytesMax) {
        const [shrunk] = long.splice((round * 7_919) % long.length, 1) as [number]
        set(keyOf(shrunk), 2, 8)
        bytesOf[shrunk] = 8
      }
    }
    for (const [number, bytes] of bytesOf.entries())
      expect(table.find(keyOf(number))?.bytes === bytes).toBe(true)
    expect(arena.roomBlocks).toBeGreaterThanOrEqual(0)
    memory.end()
    expect(arena.takenBytes).toBe(0)
  }
})
