import { manifestOf } from '../../protocol/model/manifest.ts'
import type { KeptDescription, Stamp } from '../../service/kept/kept-store.ts'
import type { NodeJob } from '../job/job.ts'
import { Kind } from '../memory/record.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import type { Slot } from '../slot/slot.ts'
import { encodeManifest } from '../slot/stored-object.ts'
import { decodeMetadata, encodeMetadata, type UserMetadata } from '../slot/user-metadata.ts'

/** An object that lies in the kept store, as its slot has to know it. */
export interface PersistedEntry {
  readonly bytes: number
  readonly expiresAtMs: number
  readonly metadata: UserMetadata
}

export interface RecoverableObject extends PersistedEntry {
  readonly bucket: string
  readonly key: string
  readonly stamp: Stamp
}

/** Null where somebody else has put it there. */
export function recoverableOf(found: KeptDescription): RecoverableObject | null {
  const { bucket, key, bytes, expiresAtMs, stamp, about } = found
  if (stamp === null || about === null) return null
  return { bucket, key, bytes, expiresAtMs, stamp, metadata: decodeMetadata(about) }
}

/**
 * Enters an object of which the kept store alone has the bytes, whatever its size, as a large one without any chunk, in the place of what
 * is under the key. Returns its version here. Throws `CAPACITY_EXCEEDED` if not even that has room.
 */
export function enterPersisted(
  job: NodeJob,
  { slot, key }: { slot: Slot; key: KeyHash },
  object: PersistedEntry,
): number {
  const version = slot.nextVersion()
  const isEmpty = object.bytes === 0
  const content = isEmpty ? nothing : encodeManifest(manifestOf(object.bytes))
  const entry = {
    version,
    base: version,
    expiresAtMs: object.expiresAtMs,
    metadata: encodeMetadata(object.metadata),
    checksum: null,
    kind: isEmpty ? Kind.value : Kind.manifest,
    bytes: content.length,
    content,
  }
  job.track(slot, () => {
    if (!slot.set(key, entry, slot.find(key)))
      job.memory.retryCompacting(() => slot.set(key, entry, slot.find(key)))
  })
  return version
}

const nothing = Buffer.alloc(0)
