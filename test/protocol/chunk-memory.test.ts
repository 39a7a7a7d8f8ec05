import { expect, test } from 'vitest'
import { CHUNK_BYTES } from '../../protocol/limits.ts'
import { ChunkMemory, landIn } from '../../protocol/wire/chunk-memory.ts'

test('memory that was given back is taken again; small parts and memory of others are not kept', () => {
  const memory = new ChunkMemory(1)
  const first = memory.take(CHUNK_BYTES)
  const second = memory.take(100_000)
  expect([first.length, second.length, memory.take(100).length]).toEqual([CHUNK_BYTES, 100_000, 100])
  expect(second.buffer).not.toBe(first.buffer)
  memory.give(second)
  memory.give(first)
  memory.give(Buffer.allocUnsafeSlow(50_000))
  expect(memory.take(CHUNK_BYTES).buffer).toBe(second.buffer)
  expect(memory.take(CHUNK_BYTES).buffer).not.toBe(first.buffer)
})

test('a payload that does not arrive in full gives its memory back', () => {
  const memory = new ChunkMemory(1)
  const landing = landIn(memory)?.(200_000)
  expect(landing?.bytes.length).toBe(200_000)
  landing?.abandon()
  expect(memory.take(CHUNK_BYTES).buffer).toBe(landing?.bytes.buffer)
})
