import { type Manifest, manifestBytes } from '../../protocol/model/manifest.ts'
import type { JobMemory } from '../memory/job-memory.ts'
import { capacityOf, type Piece, readParts } from '../memory/payload.ts'
import { apartBytesOf, chargeOf, isOnLowerTier, Kind, type StoredRecord } from '../memory/record.ts'
import { RAM } from '../tiers/job-tiers.ts'
import { decodeMetadata, type UserMetadata } from './user-metadata.ts'

/**
 * An object as its slot stores it. Valid until something is stored: do not retain it across a turn of the
 * event loop.
 */
export type StoredObject = StoredRecord

const noRuns: Piece['runs'] = []

/** An encoded manifest: the object's length, so that a `stat` need not add up the runs, and the runs. */
const LENGTH_BYTES = 8
/** An encoded run of equal chunks: count and bytes. */
const RUN_BYTES = 8

/** Whether a handoff has announced the object and its bytes are still on the slot's previous owner. */
export function isRemote({ kind }: Pick<StoredObject, 'kind'>): boolean {
  return kind === Kind.remote || kind === Kind.remoteLower
}

/** Whether its bytes are on a tier of this node below RAM. */
export function isDemoted({ kind }: StoredObject): boolean {
  return kind === Kind.demoted
}

/** Whether its bytes are not in this node's RAM: it is remote or demoted. */
export function isOutsideRam({ kind }: StoredObject): boolean {
  return kind >= Kind.remote
}

/** The tier that its bytes are charged to; for a large object that of its manifest, RAM. */
export function tierOf(object: StoredObject): number {
  return isOnLowerTier(object.kind) ? object.location.tier : RAM
}

/** A remote object as it was when it was found: unlike a `StoredObject` it may be retained. */
export interface RemoteObject {
  readonly version: number
  readonly bytes: number
  /** The tier that has room reserved for its bytes. */
  readonly tier: number
}

export function remoteObject(object: StoredObject): RemoteObject {
  const { version, bytes } = object
  return { version, bytes, tier: tierOf(object) }
}

/** Whether its bytes are in chunks. */
export function isManifest({ kind }: StoredObject): boolean {
  return kind === Kind.manifest
}

export function isExpired({ expiresAtMs }: Pick<StoredObject, 'expiresAtMs'>, wallMs: number): boolean {
  return expiresAtMs !== 0 && expiresAtMs <= wallMs
}

/** The object's length in bytes. */
export function objectBytes(memory: JobMemory, object: StoredObject): number {
  if (!isManifest(object)) return object.bytes
  const [view] = readObject(memory, object, { offset: 0, bytes: LENGTH_BYTES }).views
  return (view as Buffer).readDoubleLE()
}

/** Its charge to the job; 0 if undefined. */
export function objectCharge(object: StoredObject | undefined): number {
  if (object === undefined) return 0
  const { kind, keyBytes, metadataBytes } = object
  const apartBytes = kind === Kind.appended ? capacityOf(object.parts) : apartBytesOf(object)
  return chargeOf(object, { keyBytes, metadataBytes, apartBytes })
}

export function metadataOf(object: StoredObject): UserMetadata {
  return decodeMetadata(object.metadata)
}

/** Empty unless the object is a manifest. */
export function manifestOf(memory: JobMemory, object: StoredObject): Manifest {
  if (!isManifest(object)) return []
  const encoded = Buffer.concat(readObject(memory, object, { offset: 0, bytes: object.bytes }).views)
  return Array.from({ length: (encoded.length - LENGTH_BYTES) / RUN_BYTES }, (_, index) => ({
    count: encoded.readUInt32LE(LENGTH_BYTES + index * RUN_BYTES),
    chunkBytes: encoded.readUInt32LE(LENGTH_BYTES + index * RUN_BYTES + 4),
  }))
}

export function encodeManifest(manifest: Manifest): Buffer {
  const encoded = Buffer.allocUnsafe(LENGTH_BYTES + manifest.length * RUN_BYTES)
  encoded.writeDoubleLE(manifestBytes(manifest))
  manifest.forEach(({ count, chunkBytes }, index) => {
    encoded.writeUInt32LE(count, LENGTH_BYTES + index * RUN_BYTES)
    encoded.writeUInt32LE(chunkBytes, LENGTH_BYTES + index * RUN_BYTES + 4)
  })
  return encoded
}

/** A range of the content, not copied. */
export function readObject(
  memory: JobMemory,
  object: StoredObject,
  range: { offset: number; bytes: number },
): Piece {
  if (object.partCount > 0) return readParts(memory, object.parts, range)
  return { views: [object.contentAt(range)], runs: noRuns }
}
