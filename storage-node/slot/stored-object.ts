import { type Manifest, manifestBytes } from '../../protocol/model/manifest.ts'
import type { JobMemory } from '../memory/job-memory.ts'
import { capacityOf, type Piece, readParts } from '../memory/payload.ts'
import { apartBytesOf, chargeOf, isOnLowerTier, Kind, type StoredRecord } from '../memory/record.ts'
import { RAM } from '../tiers/job-tiers.ts'
import { decodeMetadata, type UserMetadata } from './user-metadata.ts'

/** An object as its key's owner keeps it. Valid until something is stored: nothing keeps one over a turn of the event loop. */
export type StoredObject = StoredRecord

const noRuns: Piece['runs'] = []

/** A run of equal chunks in a manifest as a record has it: count and bytes. */
const RUN_BYTES = 8

/** Whether a handoff has announced its bytes and not yet brought them: they lie on the slot's owner before this one. */
export function isRemote({ kind }: Pick<StoredObject, 'kind'>): boolean {
  return kind === Kind.remote || kind === Kind.remoteLower
}

/** Whether its bytes lie on a tier of this node below RAM. */
export function isDemoted({ kind }: StoredObject): boolean {
  return kind === Kind.demoted
}

/** Whether its bytes are not in RAM here: it is remote or demoted. */
export function isOutsideRam({ kind }: StoredObject): boolean {
  return kind >= Kind.remote
}

/** The tier that its bytes count on: of a large object that of its manifest, which is RAM. */
export function tierOf(object: StoredObject): number {
  return isOnLowerTier(object.kind) ? object.location.tier : RAM
}

/** Whether its bytes lie in chunks. */
export function isManifest({ kind }: StoredObject): boolean {
  return kind === Kind.manifest
}

export function isExpired({ expiresAtMs }: StoredObject, wallMs: number): boolean {
  return expiresAtMs !== 0 && expiresAtMs <= wallMs
}

/** The object's length. */
export function objectBytes(memory: JobMemory, object: StoredObject): number {
  return isManifest(object) ? manifestBytes(manifestOf(memory, object)) : object.bytes
}

/** What it counts against its job; 0 where there is none. */
export function objectCharge(object: StoredObject | undefined): number {
  if (object === undefined) return 0
  const { kind, keyBytes, metadataBytes } = object
  const apartBytes = kind === Kind.appended ? capacityOf(object.parts) : apartBytesOf(object)
  return chargeOf(object, { keyBytes, metadataBytes, apartBytes })
}

export function metadataOf(object: StoredObject): UserMetadata {
  return decodeMetadata(object.metadata)
}

/** Empty where the object is none. */
export function manifestOf(memory: JobMemory, object: StoredObject): Manifest {
  if (!isManifest(object)) return []
  const encoded = Buffer.concat(readObject(memory, object, { offset: 0, bytes: object.bytes }).views)
  return Array.from({ length: encoded.length / RUN_BYTES }, (_, index) => ({
    count: encoded.readUInt32LE(index * RUN_BYTES),
    chunkBytes: encoded.readUInt32LE(index * RUN_BYTES + 4),
  }))
}

export function encodeManifest(manifest: Manifest): Buffer {
  const encoded = Buffer.allocUnsafe(manifest.length * RUN_BYTES)
  manifest.forEach(({ count, chunkBytes }, index) => {
    encoded.writeUInt32LE(count, index * RUN_BYTES)
    encoded.writeUInt32LE(chunkBytes, index * RUN_BYTES + 4)
  })
  return encoded
}

/** Bytes of the content where they lie. */
export function readObject(
  memory: JobMemory,
  object: StoredObject,
  range: { offset: number; bytes: number },
): Piece {
  if (object.partCount > 0) return readParts(memory, object.parts, range)
  return { views: [object.contentAt(range)], runs: noRuns }
}
