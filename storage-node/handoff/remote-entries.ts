import { RemoteChunk } from '../slot/chunks.ts'
import { type KeyString, keyHash, keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import { isRemote, tierOf } from '../slot/stored-object.ts'

/** An entry whose bytes are still on the previous owner: an object, or one chunk of a large one. */
export interface RemoteEntry {
  readonly bucket: number
  readonly key: KeyString
  readonly version: number
  readonly bytes: number
  /** The tier that has room reserved for them. */
  readonly tier: number
  readonly chunk: { readonly groupKey: string; readonly index: number } | null
}

/** Table cells visited for one page of entries. */
const SCAN_CELLS = 256

/** All remote entries of a slot. Entries that change meanwhile may be missing or stale. */
export function* remoteEntries(slot: Slot): Generator<RemoteEntry> {
  for (let from: number | null = 0; from !== null; ) {
    const found: RemoteEntry[] = []
    from = slot.objects.scan(from, SCAN_CELLS, (object) => {
      const { bucket, key, version, bytes } = object
      if (!isRemote(object)) return
      found.push({ bucket, key: keyString(key), version, bytes, tier: tierOf(object), chunk: null })
    })
    yield* found
  }
  for (const [groupKey, { bucket, key, version, chunks }] of slot.chunks.groups) {
    for (const [index, chunk] of chunks) {
      if (!(chunk instanceof RemoteChunk)) continue
      const { bytes, tier } = chunk
      yield { bucket, key: keyString(key), version, bytes, tier, chunk: { groupKey, index } }
    }
  }
}

/** Whether the slot still has this version of the entry without its bytes. */
export function stillRemote(slot: Slot, { bucket, key, version, chunk }: RemoteEntry): boolean {
  if (slot.discarded) return false
  if (chunk !== null) return slot.chunks.find(chunk.groupKey, chunk.index) instanceof RemoteChunk
  const object = slot.find(keyHash(bucket, key))
  return object?.version === version && isRemote(object)
}
