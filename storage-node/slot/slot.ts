import { MayflyError } from '../../protocol/errors.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import { SlotChunks } from './chunks.ts'
import { type KeyString, keyString } from './key-string.ts'
import { PendingEntries } from './pending-entries.ts'
import { PersistedNames } from './persisted-names.ts'
import { type Holder, type NewObject, SlotObjects } from './slot-objects.ts'
import type { StoredObject } from './stored-object.ts'
import { dropLapsed, ReadLeases } from './version-leases.ts'
import type { Wait } from './wait.ts'

const VERSIONS_PER_EPOCH = 2 ** 32

/** All that one slot of one job holds. */
export class Slot {
  /** The placement's epoch at which this node became the owner; the upper part of every version given here. */
  epoch: number
  /** An owner has died: a key that is not here may have been lost with it. */
  mayHaveLost: boolean
  /** Where the bytes of remote entries are; empty where there are none. */
  source = ''
  /** The job has it no more: what it held is being freed. */
  discarded = false
  readonly pendingEntries = new PendingEntries()
  /** Read it; `set`, `grow` and `remove` change it. */
  readonly objects: SlotObjects
  readonly chunks: SlotChunks
  readonly readLeases = new ReadLeases()
  /** Gets that wait for a key, by `waitKey`, in the order of their coming; null while none ever did, for every put looks here. */
  waits: Map<string, Wait[]> | null = null
  /** Keys whose bytes were lost on their way here, by bucket; null while there was none, for every put looks here. */
  lostKeys: Map<number, Set<KeyString>> | null = null
  /** Objects that outlive their job. */
  readonly persisted = new PersistedNames()
  #counter = 0
  // Most slots have none of these, and a job may have many slots.
  #persisting: Set<Promise<unknown>> | null = null
  #openPuts: Map<number, number> | null = null

  constructor(holder: Holder, { epoch, mayHaveLost }: { epoch: number; mayHaveLost: boolean }) {
    this.epoch = epoch
    this.mayHaveLost = mayHaveLost
    this.objects = new SlotObjects(holder, this.pendingEntries)
    this.chunks = new SlotChunks(holder, this.pendingEntries)
  }

  /** Versions that a large put has opened and not committed, with the end of their lease in monotonic ms. */
  get openPuts(): Map<number, number> {
    this.#openPuts ??= new Map()
    return this.#openPuts
  }

  /** Mutations of kept objects that wait for the kept store. */
  get persisting(): Set<Promise<unknown>> {
    this.#persisting ??= new Set()
    return this.#persisting
  }

  /** No entry is remote. */
  get isComplete(): boolean {
    return this.pendingEntries.isEmpty
  }

  /** It holds nothing that anybody could miss. */
  get isEmpty(): boolean {
    const { objects, chunks, readLeases, waits, lostKeys, persisted } = this
    if (objects.size > 0 || chunks.groups.size > 0 || (this.#openPuts?.size ?? 0) > 0) return false
    return (
      readLeases.empty && waits === null && lostKeys === null && persisted.empty && this.#persisting === null
    )
  }

  /** Forgets leases of versions that have lapsed. */
  dropLapsed(nowMs: number): void {
    if (this.#openPuts !== null) dropLapsed(this.#openPuts, nowMs)
    this.readLeases.dropLapsed(nowMs)
  }

  /** What all of the slot counts against its job's RAM. */
  get chargedBytes(): number {
    return this.objects.chargedBytes + this.chunks.chargedBytes
  }

  nextVersion(): number {
    if (this.#counter >= VERSIONS_PER_EPOCH - 1) {
      const what = 'The slot has given 2^32 versions; it takes puts again once it has moved to another node'
      throw new MayflyError('UNAVAILABLE', what)
    }
    return this.epoch * VERSIONS_PER_EPOCH + this.#counter++
  }

  /** Whether a large put has opened the version, not committed it, and still has its lease. */
  isOpen(version: number, nowMs: number): boolean {
    return (this.#openPuts?.get(version) ?? 0) > nowMs
  }

  find(key: KeyHash): StoredObject | undefined {
    return this.objects.find(key)
  }

  /** As `SlotObjects.set`. */
  set(key: KeyHash, object: NewObject, before: StoredObject | undefined): boolean {
    if (!this.objects.set(key, object, before)) return false
    this.#clearLost(key)
    return true
  }

  /** As `SlotObjects.grow`. */
  grow(key: KeyHash, append: Parameters<SlotObjects['grow']>[1], payload: Uint8Array): boolean {
    if (!this.objects.grow(key, append, payload)) return false
    this.#clearLost(key)
    return true
  }

  /** Remembers that what was under the key was lost. */
  markLost({ bucket, key }: Omit<KeyHash, 'hash'>): void {
    const name = keyString(key)
    this.lostKeys ??= new Map()
    const keys = this.lostKeys.get(bucket)
    if (keys === undefined) this.lostKeys.set(bucket, new Set([name]))
    else keys.add(name)
  }

  /** Whether a key that is not here may have been lost. */
  mayHaveLostKey({ bucket, key }: Omit<KeyHash, 'hash'>): boolean {
    return this.mayHaveLost || this.lostKeys?.get(bucket)?.has(keyString(key)) === true
  }

  /** What a key that is not here means: that it never was, or that nobody can know. */
  missingError({ bucket, key }: Omit<KeyHash, 'hash'>): MayflyError {
    if (this.lostKeys?.get(bucket)?.has(keyString(key))) {
      return new MayflyError('OBJECT_LOST', 'The node that held the bytes of the object died')
    }
    if (this.mayHaveLost)
      return new MayflyError('OBJECT_LOST', 'The key is not here, and an owner of its slot died')
    return new MayflyError('NOT_FOUND', 'There is no object under this key')
  }

  #clearLost({ bucket, key }: KeyHash): void {
    this.lostKeys?.get(bucket)?.delete(keyString(key))
  }
}
