import { manifestOf } from '../../protocol/model/manifest.ts'
import type { PersistedDescription, Stamp } from '../../service/persisted/persisted-store.ts'
import type { NodeJob } from '../job/job.ts'
import { Kind } from '../memory/record.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import type { Slot } from '../slot/slot.ts'
import { encodeManifest } from '../slot/stored-object.ts'
import { decodeMetadata, encodeMetadata, type UserMetadata } from '../slot/user-metadata.ts'

/** A persisted object, as its slot needs it. */
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

/** Null if the object was not written by Mayfly. */
export function recoverableOf(found: PersistedDescription): RecoverableObject | null {
  const { bucket, key, bytes, expiresAtMs, stamp, about } = found
  if (stamp === null || about === null) return null
  return { bucket, key, bytes, expiresAtMs, stamp, metadata: decodeMetadata(about) }
}

/**
 * Enters an object whose bytes only the persistent store has, as a large object without chunks, replacing the
 * object under the key. Returns its version. Throws `CAPACITY_EXCEEDED` if there is no room even for that.
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
