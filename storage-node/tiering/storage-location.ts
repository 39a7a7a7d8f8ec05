import { assert } from '../../protocol/assert.ts'
import { manifestOf } from '../../protocol/model/manifest.ts'
import type { NodeJob } from '../job/job.ts'
import { encodeLocation, Kind, type Location } from '../memory/record.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import type { Slot } from '../slot/slot.ts'
import type { NewObject } from '../slot/slot-objects.ts'
import { encodeManifest, type StoredObject } from '../slot/stored-object.ts'

/** Where bytes of an object go that is there already: the object itself stays what it is. */

/** Puts its bytes into RAM. Throws `CAPACITY_EXCEEDED`, with nothing changed, if the node has no memory. */
export function moveToRam(job: NodeJob, entry: { slot: Slot; key: KeyHash }, bytes: Buffer): void {
  const object = entry.slot.find(entry.key)
  if (object === undefined) return
  const kind = object.base === object.version ? Kind.value : Kind.appended
  replace(job, entry, { object, kind, bytes: bytes.length, content: bytes })
}

/** Says that they lie in the kept store, from which its chunks come when they are asked for. Throws as `moveToLowerTier`. */
export function moveToPersisted(job: NodeJob, entry: { slot: Slot; key: KeyHash }): void {
  const object = entry.slot.find(entry.key)
  if (object === undefined) return
  const content = encodeManifest(manifestOf(object.bytes))
  replace(job, entry, { object, kind: Kind.manifest, bytes: content.length, content })
}

/** Says that they lie on a tier below RAM. Throws `CAPACITY_EXCEEDED`, with nothing changed, if the node has no memory. */
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
