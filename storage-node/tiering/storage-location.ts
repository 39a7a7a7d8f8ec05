import { assert } from '../../protocol/assert.ts'
import { manifestOf } from '../../protocol/model/manifest.ts'
import type { NodeJob } from '../job/job.ts'
import { encodeLocation, Kind, type Location } from '../memory/record.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import type { Slot } from '../slot/slot.ts'
import type { NewObject } from '../slot/slot-objects.ts'
import { encodeManifest, type StoredObject } from '../slot/stored-object.ts'

/** Changes an object's storage location; the version stays. */

/** Moves its bytes into RAM. Throws `CAPACITY_EXCEEDED`, with nothing changed, if the node has no memory. */
export function moveToRam(job: NodeJob, entry: { slot: Slot; key: KeyHash }, bytes: Buffer): void {
  const object = entry.slot.find(entry.key)
  if (object === undefined) return
  const kind = object.base === object.version ? Kind.value : Kind.appended
  replace(job, entry, { object, kind, bytes: bytes.length, content: bytes })
}

/**
 * Records that only the persistent store has its bytes; chunks are read from there on demand. Throws as
 * `moveToLowerTier`.
 */
export function moveToPersisted(job: NodeJob, entry: { slot: Slot; key: KeyHash }): void {
  const object = entry.slot.find(entry.key)
  if (object === undefined) return
  const content = encodeManifest(manifestOf(object.bytes))
  replace(job, entry, { object, kind: Kind.manifest, bytes: content.length, content })
}

/**
 * Records its location on a lower tier. Throws `CAPACITY_EXCEEDED`, with nothing changed, if the node has no
 * memory.
 */
export function moveToLowerTier(job: NodeJob, entry: { slot: Slot; key: KeyHash }, location: Location): void {
  const object = entry.slot.find(entry.key)
  if (object === undefined) return
  replace(job, entry, { object, kind: Kind.demoted, bytes: object.bytes, content: encodeLocation(location) })
}

function replace(
  job: NodeJob,
  { slot, key }: { slot: Slot; key: KeyHash },
  replacement: Pick<NewObject, 'kind' | 'bytes' | 'content'> & { object: StoredObject },
): void {
  const { object, kind, bytes, content } = replacement
  assert(object.kind !== Kind.manifest, 'a manifest stays in RAM')
  const { version, base, expiresAtMs, checksum, reads } = object
  const metadata = Buffer.from(object.metadata)
  const after = { version, base, expiresAtMs, metadata, checksum, kind, bytes, content }
  job.track(slot, () => {
    if (!slot.objects.set(key, after, object)) {
      job.memory.retryCompacting(() => slot.objects.set(key, after, slot.find(key)))
    }
  })
  const now = slot.find(key)
  if (now !== undefined) now.reads = reads
}
