import { expect, test, vi } from 'vitest'
import { hashKey } from '../../../protocol/model/hash.ts'
import { Arena } from '../../../storage-node/memory/arena.ts'
import { JobMemory } from '../../../storage-node/memory/job-memory.ts'
import { Kind } from '../../../storage-node/memory/record.ts'
import { SlotTable } from '../../../storage-node/memory/slot-table.ts'
import { type KeyHash, tableHash } from '../../../storage-node/memory/table-hash.ts'
import { TableSegment } from '../../../storage-node/memory/table-segment.ts'

/** Of a segment that is split when it is full. */
const SEGMENT_CELLS = 512
const nothing = Buffer.alloc(0)
/** The number of keys that stalled a node for 17 s. */
const KEYS = 166_000
const ROUNDS = 4
/** A put that splits a segment takes a tenth of this. If a table grows in one step, that of so many keys takes several times as long. */
const STEP_MS_MAX = 2

function newTable(): SlotTable {
  return new SlotTable(new JobMemory(new Arena(2e8), () => undefined))
}

function set(table: SlotTable, of: KeyHash): void {
  const object = {
    version: 1,
    base: 1,
    expiresAtMs: 0,
    metadata: nothing,
    checksum: null,
    kind: Kind.value,
    bytes: 0,
  }
  expect(table.set({ key: of, object, parts: [], content: nothing }, table.find(of))).toBe(true)
}

function keyOf(key: Buffer): KeyHash {
  return { bucket: 0, key, hash: tableHash(key, 0) }
}

/** The inverse of an odd number modulo 2^32. */
function inverseOf(odd: number): number {
  let inverse = odd
  for (let round = 0; round < 5; round++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse))
  return inverse
}

function rotateRight(value: number, bits: number): number {
  return (value >>> bits) | (value << (32 - bits))
}

/** A key of eight bytes that starts with a number and has the same slot hash as all others: MurmurHash3 inverted. */
function collidingKey(first: number): Buffer {
  const key = Buffer.alloc(8)
  key.writeUInt32LE(first, 0)
  const scrambled = Math.imul(rotateRight(Math.imul(first, 0xcc9e2d51), 32 - 15), 0x1b873593)
  const state = (Math.imul(rotateRight(scrambled, 32 - 13), 5) + 0xe6546b64) | 0
  const wanted = rotateRight(Math.imul(0x1234567 - 0xe6546b64, inverseOf(5)), 13) ^ state
  const block = Math.imul(rotateRight(Math.imul(wanted, inverseOf(0x1b873593)), 15), inverseOf(0xcc9e2d51))
  key.writeInt32LE(block, 4)
  return key
}

test('166,000 keys of one slot hash are put into one slot, and no put of them takes long', () => {
  const keys = Array.from({ length: KEYS }, (_, index) => keyOf(collidingKey(index + 1)))
  const slotHash = hashKey(collidingKey(1), 0)
  for (let number = 1_000; number <= KEYS; number += 1_000)
    expect(hashKey(collidingKey(number), 0)).toBe(slotHash)
  // Each table grows at the same puts. A put that the collection of garbage or another process made long in one table is short in another one.
  const shortest = new Float64Array(KEYS).fill(Number.POSITIVE_INFINITY)
  for (let round = 0; round < ROUNDS; round++) {
    const table = newTable()
    // The first put allocates memory for many.
    set(table, keyOf(Buffer.from('first')))
    for (const [index, key] of keys.entries()) {
      const beganMs = performance.now()
      set(table, key)
      shortest[index] = Math.min(shortest[index] as number, performance.now() - beganMs)
    }
    expect(table.size).toBe(KEYS + 1)
    for (let number = 0; number < KEYS; number += 97)
      expect(table.find(keys[number] as KeyHash)?.version).toBe(1)
  }
  expect(shortest.reduce((most, ms) => Math.max(most, ms), 0)).toBeLessThan(STEP_MS_MAX)
})

/** How many cells a search for each of the keys looks at, at most. */
function longestProbe(table: SlotTable, keys: Iterable<KeyHash>): number {
  const { addressAt, cellOfRange } = TableSegment.prototype
  let looks = 0
  let longest = 0
  vi.spyOn(TableSegment.prototype, 'addressAt').mockImplementation(function (this: TableSegment, cell) {
    looks++
    return addressAt.call(this, cell)
  })
  vi.spyOn(TableSegment.prototype, 'cellOfRange').mockImplementation(function (this: TableSegment, ...of) {
    const cell = cellOfRange.apply(this, of)
    expect(cell).toBeGreaterThanOrEqual(0)
    const [, hash] = of
    const at = addressAt.call(this, cell)
    looks = 0
    this.cellAt(hash, at)
    longest = Math.max(longest, looks)
    return cell
  })
  for (const key of keys) table.find(key)
  vi.restoreAllMocks()
  return longest
}

test('a search among 166,000 keys of one slot hash looks at no more cells than a segment has', () => {
  const table = newTable()
  const keys = Array.from({ length: KEYS }, (_, index) => keyOf(collidingKey(index + 1)))
  for (const key of keys) set(table, key)
  const longest = longestProbe(table, keys)
  expect(longest).toBeGreaterThan(1)
  expect(longest).toBeLessThanOrEqual(SEGMENT_CELLS)
})

test('a table of many segments has each key once in a scan, also while it grows and shrinks, and is small again at the end', () => {
  const table = newTable()
  const stays = (number: number): KeyHash => keyOf(Buffer.from(`stays ${number}`))
  const comes = (number: number): KeyHash => keyOf(Buffer.from(`comes ${number}`))
  for (let number = 0; number < 20_000; number++) set(table, stays(number))
  for (const change of [set, (of: SlotTable, key: KeyHash) => of.remove(key)]) {
    const visited = new Map<string, number>()
    let next = 0
    for (let from: number | null = 0; from !== null; ) {
      from = table.scan(from, 700, (record) => {
        const name = record.key.toString()
        if (name.startsWith('stays')) visited.set(name, (visited.get(name) ?? 0) + 1)
      })
      for (let left = 2_000; left > 0 && next < 60_000; left--) change(table, comes(next++))
    }
    for (; next < 60_000; next++) change(table, comes(next))
    expect(visited.size).toBe(20_000)
    expect([...visited.values()].every((times) => times === 1)).toBe(true)
  }
  expect(table.size).toBe(20_000)
  for (let number = 0; number < 20_000; number++) expect(table.find(stays(number))?.version).toBe(1)
  for (let number = 0; number < 20_000; number++) table.remove(stays(number))
  expect(table.size).toBe(0)
  expect(table.scan(0, 64, () => undefined)).toBe(null)
})
