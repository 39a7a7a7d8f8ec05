import { assert } from '../protocol/assert.ts'
import { MayflyError } from '../protocol/errors.ts'
import { ENTRY_OVERHEAD_BYTES } from '../protocol/limits.ts'
import { type Content, contentCharge, Remote } from './content.ts'
import type { Wait } from './wait.ts'

export type Metadata = readonly { readonly name: string; readonly value: string }[]

/** An object as its key's owner keeps it. Never changed: what happens to the key puts another in its place. */
export interface StoredObject {
  readonly version: number
  /** The version that the last put made; appends since then have made `version` of it. */
  readonly base: number
  readonly content: Content
  readonly metadata: Metadata
  /** Since the Unix epoch; 0 where the object lives as long as its job. */
  readonly expiresAtMs: number
}

/** A chunk of a large object, or what is known of one whose bytes are elsewhere, or were lost. */
export type Chunk = Buffer | Remote | LostChunk

export class LostChunk {}

/** The chunks of one version of a large object that fall into one slot. */
export interface ChunkGroup {
  readonly bucket: number
  readonly key: Buffer
  readonly version: number
  readonly chunks: Map<number, Chunk>
}

/** Keys as maps hold them: one character for each byte, so that strings compare as the bytes do. */
export type KeyString = string

const VERSIONS_PER_EPOCH = 2 ** 32

/** All that one slot of one job holds. */
export class Slot {
  /** The placement's epoch at which this node became the owner; the upper part of every version given here. */
  epoch: number
  /** An owner has died: a key that is not here may have been lost with it. */
  lost: boolean
  /** Where the bytes of remote entries are; empty where there are none. */
  source = ''
  /** Objects by bucket, then by key. Read it; `set` and `remove` change it. */
  readonly objects = new Map<number, Map<KeyString, StoredObject>>()
  /** Chunks whose place is this slot, by `chunkGroupKey`. Read it; `setChunk` and `removeChunks` change it. */
  readonly chunks = new Map<string, ChunkGroup>()
  /** Versions that a large put has opened and not committed, with the end of their lease in monotonic ms. */
  readonly openPuts = new Map<number, number>()
  /** Versions whose manifest was read, with the end of the reader's lease in monotonic ms. */
  readonly readLeases = new Map<number, number>()
  /** Gets that wait for a key, by `waitKey`, in the order of their coming. */
  readonly waits = new Map<string, Wait[]>()
  /** Keys whose bytes were lost on their way here, by bucket. */
  readonly lostKeys = new Map<number, Set<KeyString>>()
  /** How many objects here have a time to live: a sweep passes over slots with none. */
  expiring = 0
  #remotes = 0
  #counter = 0
  #whenSettled: (() => void)[] = []

  constructor(epoch: number, lost: boolean) {
    this.epoch = epoch
    this.lost = lost
  }

  /** No entry is remote. */
  get settled(): boolean {
    return this.#remotes === 0
  }

  whenSettled(task: () => void): void {
    this.#whenSettled.push(task)
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
    const before = keys.get(key)
    keys.set(key, object)
    this.lostKeys.get(bucket)?.delete(key)
    this.#count(before, -1)
    this.#count(object, 1)
  }

  remove(bucket: number, key: KeyString): void {
    const keys = this.objects.get(bucket)
    const before = keys?.get(key)
    keys?.delete(key)
    this.#count(before, -1)
  }

  /** Removes the object and remembers that it was lost. */
  lose(bucket: number, key: KeyString): void {
    this.remove(bucket, key)
    const keys = this.lostKeys.get(bucket)
    if (keys === undefined) this.lostKeys.set(bucket, new Set([key]))
    else keys.add(key)
  }

  setChunk(of: Omit<ChunkGroup, 'chunks'>, at: { groupKey: string; index: number }, chunk: Chunk): void {
    let group = this.chunks.get(at.groupKey)
    if (group === undefined) {
      group = { ...of, chunks: new Map() }
      this.chunks.set(at.groupKey, group)
    }
    const before = group.chunks.get(at.index)
    group.chunks.set(at.index, chunk)
    if (chunk instanceof Remote) this.#remotes++
    if (before instanceof Remote) this.#less()
  }

  /** Returns what the chunks were charged. */
  removeChunks(groupKey: string): number {
    let charge = 0
    const group = this.chunks.get(groupKey)
    this.chunks.delete(groupKey)
    for (const chunk of group?.chunks.values() ?? []) {
      charge += chunkCharge(chunk)
      if (chunk instanceof Remote) this.#less()
    }
    return charge
  }

  /** What a key that is not here means: that it never was, or that nobody can know. */
  missing(bucket: number, key: KeyString): MayflyError {
    if (this.lostKeys.get(bucket)?.has(key)) {
      return new MayflyError('OBJECT_LOST', 'The node that held the bytes of the object died')
    }
    if (this.lost) return new MayflyError('OBJECT_LOST', 'The key is not here, and an owner of its slot died')
    return new MayflyError('NOT_FOUND', 'There is no object under this key')
  }

  #count(object: StoredObject | undefined, change: 1 | -1): void {
    if (object === undefined) return
    if (object.expiresAtMs !== 0) this.expiring += change
    if (!(object.content instanceof Remote)) return
    if (change === 1) this.#remotes++
    else this.#less()
  }

  #less(): void {
    this.#remotes--
    if (this.#remotes > 0) return
    const tasks = this.#whenSettled
    this.#whenSettled = []
    for (const task of tasks) task()
  }
}

/** Versions are unique only among the keys of one slot, so a group is named by key and version. */
export function chunkGroupKey(bucket: number, key: KeyString, version: number): string {
  return `${bucket}/${version}/${key}`
}

/** What the object counts against its job on this node. */
export function objectCharge(keyBytes: number, object: StoredObject): number {
  let bytes = ENTRY_OVERHEAD_BYTES + keyBytes + contentCharge(object.content)
  for (const { name, value } of object.metadata) bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  return bytes
}

export function chunkCharge(chunk: Chunk): number {
  if (chunk instanceof LostChunk) return ENTRY_OVERHEAD_BYTES
  return ENTRY_OVERHEAD_BYTES + (Buffer.isBuffer(chunk) ? chunk.length : chunk.bytes)
}

/** What all of the slot counts against its job. */
export function slotCharge(slot: Slot): number {
  let bytes = 0
  for (const keys of slot.objects.values())
    for (const [key, object] of keys) bytes += objectCharge(key.length, object)
  for (const { chunks } of slot.chunks.values())
    for (const chunk of chunks.values()) bytes += chunkCharge(chunk)
  return bytes
}

export function slotObjects(slot: Slot): number {
  let objects = 0
  for (const keys of slot.objects.values()) objects += keys.size
  return objects
}

/** Removes every object and chunk of a bucket. */
export function removeBucket(slot: Slot, bucket: number): void {
  for (const key of slot.objects.get(bucket)?.keys() ?? []) slot.remove(bucket, key)
  for (const [groupKey, group] of slot.chunks) if (group.bucket === bucket) slot.removeChunks(groupKey)
  slot.objects.delete(bucket)
  slot.lostKeys.delete(bucket)
}
