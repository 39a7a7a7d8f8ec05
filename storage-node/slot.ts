import { assert } from '../protocol/assert.ts'
import { MayflyError } from '../protocol/errors.ts'
import { ENTRY_OVERHEAD_BYTES } from '../protocol/limits.ts'
import { type Manifest, manifestBytes } from '../protocol/manifest.ts'

export type Metadata = readonly { readonly name: string; readonly value: string }[]

/** An object as its key's owner keeps it: the bytes themselves, or where its chunks lie. */
export interface StoredObject {
  readonly version: number
  readonly content: Buffer | Manifest
  readonly metadata: Metadata
  /** Since the Unix epoch; 0 where the object lives as long as its job. */
  readonly expiresAtMs: number
}

/** The chunks of one version of a large object that fall into one slot. */
export interface ChunkGroup {
  readonly bucket: number
  readonly key: Buffer
  readonly version: number
  readonly chunks: Map<number, Buffer>
}

/** Keys as maps hold them: one character for each byte, so that strings compare as the bytes do. */
export type KeyString = string

const VERSIONS_PER_EPOCH = 2 ** 32

/** All that one slot of one job holds. */
export class Slot {
  /** The placement's epoch at which this node became the owner; the upper part of every version given here. */
  readonly epoch: number
  /** The last owner died: a key that is not here may have been lost with it. */
  readonly lost: boolean
  /** Objects by bucket, then by key. */
  readonly objects = new Map<number, Map<KeyString, StoredObject>>()
  /** Chunks whose place is this slot, by `chunkGroupKey`. */
  readonly chunks = new Map<string, ChunkGroup>()
  /** Versions that a large put has opened and not committed, with the end of their lease in monotonic ms. */
  readonly openPuts = new Map<number, number>()
  /** Versions whose manifest was read, with the end of the reader's lease in monotonic ms. */
  readonly readLeases = new Map<number, number>()
  /** How many objects here have a time to live: a sweep passes over slots with none. */
  expiring = 0
  #counter = 0

  constructor(epoch: number, lost: boolean) {
    this.epoch = epoch
    this.lost = lost
  }

  nextVersion(): number {
    assert(this.#counter < VERSIONS_PER_EPOCH - 1, 'a slot gives fewer than 2^32 versions in one epoch')
    return this.epoch * VERSIONS_PER_EPOCH + this.#counter++
  }

  find(bucket: number, key: KeyString): StoredObject | undefined {
    return this.objects.get(bucket)?.get(key)
  }

  set(bucket: number, key: KeyString, object: StoredObject): void {
    let keys = this.objects.get(bucket)
    if (keys === undefined) {
      keys = new Map()
      this.objects.set(bucket, keys)
    }
    if (keys.get(key)?.expiresAtMs) this.expiring--
    if (object.expiresAtMs) this.expiring++
    keys.set(key, object)
  }

  remove(bucket: number, key: KeyString): void {
    const keys = this.objects.get(bucket)
    if (keys?.get(key)?.expiresAtMs) this.expiring--
    keys?.delete(key)
  }

  /** What a key that is not here means: that it never was, or that nobody can know. */
  missing(): MayflyError {
    if (this.lost)
      return new MayflyError('OBJECT_LOST', "The key is not here, and its slot's last owner died")
    return new MayflyError('NOT_FOUND', 'There is no object under this key')
  }
}

/** Versions are unique only among the keys of one slot, so a group is named by key and version. */
export function chunkGroupKey(bucket: number, key: KeyString, version: number): string {
  return `${bucket}/${version}/${key}`
}

export function objectBytes(object: StoredObject): number {
  return Buffer.isBuffer(object.content) ? object.content.length : manifestBytes(object.content)
}

/** What the object counts against its job on this node; a large object's chunks count where they lie. */
export function objectCharge(keyBytes: number, object: StoredObject): number {
  let bytes = ENTRY_OVERHEAD_BYTES + keyBytes
  if (Buffer.isBuffer(object.content)) bytes += object.content.length
  for (const { name, value } of object.metadata) bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  return bytes
}

export function chunkCharge(chunk: Buffer): number {
  return ENTRY_OVERHEAD_BYTES + chunk.length
}
