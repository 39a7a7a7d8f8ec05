import { Remote } from './content.ts'
import type { KeyString, Slot } from './slot.ts'

/** An entry whose bytes are still on the owner before: an object, or one chunk of a large one. */
export interface RemoteItem {
  readonly bucket: number
  readonly key: KeyString
  readonly version: number
  readonly bytes: number
  readonly chunk: { readonly groupKey: string; readonly index: number } | null
}

/** All that is remote in a slot. */
export function* remoteItems(slot: Slot): Generator<RemoteItem> {
  for (const [bucket, keys] of slot.objects) {
    for (const [key, { version, content }] of keys) {
      if (content instanceof Remote) yield { bucket, key, version, bytes: content.bytes, chunk: null }
    }
  }
  for (const [groupKey, { bucket, key, version, chunks }] of slot.chunks) {
    for (const [index, chunk] of chunks) {
      if (!(chunk instanceof Remote)) continue
      yield { bucket, key: key.toString('latin1'), version, bytes: chunk.bytes, chunk: { groupKey, index } }
    }
  }
}

/** Whether the slot still has this very entry without its bytes. */
export function stillRemote(slot: Slot, { bucket, key, version, chunk }: RemoteItem): boolean {
  if (chunk !== null) return slot.chunks.get(chunk.groupKey)?.chunks.get(chunk.index) instanceof Remote
  const object = slot.find(bucket, key)
  return object?.version === version && object.content instanceof Remote
}
