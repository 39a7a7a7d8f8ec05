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
export function moveToRam(job: NodeJob, at: { slot: Slot; of: KeyHash }, bytes: Buffer): void {
  const object = at.slot.find(at.of)
  if (object === undefined) return
  const kind = object.base === object.version ? Kind.value : Kind.appended
  replace(job, at, { object, kind, bytes: bytes.length, content: bytes })
}

/** Says that they lie in the kept store, from which its chunks come when they are asked for. Throws as `moveToLowerTier`. */
export function moveToPersisted(job: NodeJob, at: { slot: Slot; of: KeyHash }): void {
  const object = at.slot.find(at.of)
  if (object === undefined) return
  const content = encodeManifest(manifestOf(object.bytes))
  replace(job, at, { object, kind: Kind.manifest, bytes: content.length, content })
}

/** Says that they lie on a tier below RAM. Throws `CAPACITY_EXCEEDED`, with nothing changed, if the node has no memory. */
export function moveToLowerTier(job: NodeJob, at: { slot: Slot; of: KeyHash }, location: Location): void {
  const object = at.slot.find(at.of)
  if (object === undefined) return
  replace(job, at, { object, kind: Kind.demoted, bytes: object.bytes, content: encodeLocation(location) })
}

function replace(
  job: NodeJob,
  { slot, of }: { slot: Slot; of: KeyHash },
  to: Pick<NewObject, 'kind' | 'bytes' | 'content'> & { object: StoredObject },
): void {
  const { object, kind, bytes, content } = to
  assert(object.kind !== Kind.manifest, 'a manifest stays in RAM')
  const { version, base, expiresAtMs, checksum, reads } = object
  const metadata = Buffer.from(object.metadata)
  const after = { version, base, expiresAtMs, metadata, checksum, kind, bytes, content }
  job.track(slot, () => {
    if (!slot.objects.set(of, after, object)) {
      job.memory.makeRoom(() => slot.objects.set(of, after, slot.find(of)))
    }
  })
  const now = slot.find(of)
  if (now !== undefined) now.reads = reads
}
