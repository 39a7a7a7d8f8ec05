import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { hashChunk, hashKey, slotOf } from '../../protocol/model/hash.ts'

const guide = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')

/** Published test vectors of MurmurHash3_x86_32. */
test.each([
  ['', 0, 0x00000000],
  ['', 1, 0x514e28b7],
  ['', 0xffffffff, 0x81f16f39],
  ['test', 0, 0xba6bd213],
  ['test', 0x9747b28c, 0x704b81dc],
  ['Hello, world!', 0, 0xc0363e43],
  ['Hello, world!', 0x9747b28c, 0x24884cba],
  ['The quick brown fox jumps over the lazy dog', 0, 0x2e4ff723],
  ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
])('the hash of %j under seed %i is that of MurmurHash3', (text, seed, hash) => {
  expect(hashKey(Buffer.from(text), seed)).toBe(hash)
})

test('the vectors in the guide hold', () => {
  const keys = [...guide.matchAll(/^\| `(.+)` \| (\d+) \| 0x([0-9a-f]{8}) \| (\d+) \|$/gm)]
  expect(keys.length).toBeGreaterThanOrEqual(5)
  for (const [, key, bucket, hash, slot] of keys) {
    const actual = hashKey(Buffer.from(key as string), Number(bucket))
    expect([actual.toString(16).padStart(8, '0'), slotOf(actual, 1024)]).toEqual([hash, Number(slot)])
  }
  const chunks = [...guide.matchAll(/^\| 0x([0-9a-f]{8}) \| (\d+) \| (\d+) \| 0x([0-9a-f]{8}) \|$/gm)]
  expect(chunks.length).toBeGreaterThanOrEqual(4)
  for (const [, keyHash, version, index, hash] of chunks) {
    const actual = hashChunk(Number.parseInt(keyHash as string, 16), Number(version), Number(index))
    expect(actual.toString(16).padStart(8, '0')).toBe(hash)
  }
})

test('keys and chunks spread evenly over slots', () => {
  const slots = 64
  const byKey = new Array<number>(slots).fill(0)
  const byChunk = new Array<number>(slots).fill(0)
  for (let i = 0; i < 64_000; i++) {
    const key = slotOf(hashKey(Buffer.from(`map/${i}/part/${i % 7}`), 0), slots)
    const chunk = slotOf(hashChunk(0x12345678, 2 ** 32 + 1, i), slots)
    byKey[key] = (byKey[key] ?? 0) + 1
    byChunk[chunk] = (byChunk[chunk] ?? 0) + 1
  }
  for (const count of [...byKey, ...byChunk]) {
    expect(count).toBeGreaterThan(800)
    expect(count).toBeLessThan(1200)
  }
})
