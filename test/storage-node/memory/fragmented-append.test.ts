import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Arena } from '../../../storage-node/memory/arena.ts'
import { JobMemory } from '../../../storage-node/memory/job-memory.ts'
import { Kind } from '../../../storage-node/memory/record.ts'
import { type KeyHash, tableHash } from '../../../storage-node/memory/table-hash.ts'
import { planAppend } from '../../../storage-node/slot/append-plan.ts'
import { PendingEntries } from '../../../storage-node/slot/pending-entries.ts'
import { SlotObjects } from '../../../storage-node/slot/slot-objects.ts'
import { readObject } from '../../../storage-node/slot/stored-object.ts'
import { JobTiers } from '../../../storage-node/tiers/job-tiers.ts'

const MIB = 1024 * 1024
const PAYLOAD_BYTES = 64 * 1024
const nothing = Buffer.alloc(0)
const fields = {
  base: 1,
  expiresAtMs: 0,
  metadata: nothing,
  checksum: null,
  kind: Kind.appended,
  content: nothing,
}
const filler = { bytes: 8_192, content: Buffer.alloc(8_192) }

function keyOf(name: string): KeyHash {
  const key = Buffer.from(name)
  return { bucket: 0, key, hash: tableHash(key, 0) }
}

/** Blocks for records, which are allocated in pages. */
const PAGES_BLOCKS = 1024

/** An arena in which every free run has `blocks` blocks, except one for records. */
function fragmented(bytes: number, blocks: number): Arena {
  const arena = new Arena(bytes)
  const runs: number[] = []
  const pages = arena.take(PAGES_BLOCKS)
  for (let at = arena.take(blocks + 1); at >= 0; at = arena.take(blocks + 1)) runs.push(at)
  while (arena.take(1) >= 0);
  for (const at of runs) arena.free(at, blocks)
  arena.free(pages, PAGES_BLOCKS)
  return arena
}

function digestOf(parts: readonly Buffer[]): string {
  const digest = createHash('sha256')
  for (const part of parts) digest.update(part)
  return digest.digest('hex')
}

test.each([
  [31, 1],
  [9, 1],
  [5, 1 / 2],
  // An object in thousands of runs has a long record, for which the holes are too short at some point.
  [2, 1 / 4],
  [1, 1 / 4],
])(
  'an object that grows in an arena of which every hole has %i blocks keeps every byte that was appended',
  (blocks, part) => {
    const memory = new JobMemory(fragmented(64 * MIB, blocks), () => undefined)
    const objects = new SlotObjects({ memory, tiers: new JobTiers('j-a', []) }, new PendingEntries())
    const taken = memory.takenBytes
    const of = keyOf('log')
    const appended: Buffer[] = []
    let bytes = 0
    for (let version = 1; bytes + PAYLOAD_BYTES <= 16 * MIB; version++) {
      const payload = Buffer.alloc(PAYLOAD_BYTES, `part ${version} `)
      const before = objects.find(of)
      expect(before?.bytes ?? 0).toBe(bytes)
      const growth = planAppend(before, payload.length)
      const object = { ...fields, version, bytes: growth.bytes }
      const grow = (): boolean => objects.grow(of, { before: objects.find(of), object, growth }, payload)
      if (!grow() && !(memory.log.compact() && grow())) break
      bytes = growth.bytes
      appended.push(payload)
      // The pages of records must not be used as runs.
      objects.set(keyOf(`filler ${version}`), { ...fields, kind: Kind.value, version, ...filler }, undefined)
    }
    expect(bytes).toBeGreaterThanOrEqual(part * 15.9 * MIB)
    const object = objects.find(of)
    if (object === undefined) throw new Error('the object is gone')
    expect(object.bytes).toBe(bytes)
    const { views } = readObject(memory, object, { offset: 0, bytes })
    expect(digestOf(views)).toBe(digestOf(appended))
    objects.remove(of, object)
    expect(memory.takenBytes - memory.log.pagesBytes).toBe(taken)
  },
)
