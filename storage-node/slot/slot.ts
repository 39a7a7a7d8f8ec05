import { MayflyError } from '../../protocol/errors.ts'
import type { PlainRecord } from '../memory/plain-record.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import { SlotChunks } from './chunks.ts'
import { type KeyString, keyString } from './key-string.ts'
import type { KeyWaits } from './key-waits.ts'
import { PendingEntries } from './pending-entries.ts'
import { PersistedNames } from './persisted-names.ts'
import { type Holder, type NewObject, SlotObjects } from './slot-objects.ts'
import type { StoredObject } from './stored-object.ts'
import { dropLapsed, ReadLeases } from './version-leases.ts'

const VERSIONS_PER_EPOCH = 2 ** 32

/** Everything that one slot of one job holds. */
export class Slot {
  /** The epoch at which this node became the owner; the upper part of every version that the slot issues. */
  epoch: number
  /** An owner has died: a missing key may have been lost. */
  mayHaveLost: boolean
  /** The node that has the bytes of remote entries; empty if there are none. */
  source = ''
  /** The job has dropped the slot; its content is being freed. */
  discarded = false
  readonly pendingEntries = new PendingEntries()
  /** Read only; `set`, `grow` and `remove` change it. */
  readonly objects: SlotObjects
  readonly chunks: SlotChunks
  readonly readLeases = new ReadLeases()
  /** Parked gets, by `waitKey`, in order of arrival. Null until the first, because every put checks it. */
  waits: Map<string, KeyWaits> | null = null
  /**
   * Keys whose bytes were lost during a handoff, by bucket. Null until the first, because every put checks
   * it.
   */
  lostKeys: Map<number, Set<KeyString>> | null = null
  /** Objects that outlive their job. */
  readonly persisted = new PersistedNames()
  #counter = 0
  // Allocated on first use: a job may have many slots, and most have none of these.
  #persisting: Set<Promise<unknown>> | null = null
  #openPuts: Map<number, number> | null = null

  constructor(holder: Holder, { epoch, mayHaveLost }: { epoch: number; mayHaveLost: boolean }) {
    this.epoch = epoch
    this.mayHaveLost = mayHaveLost
    this.objects = new SlotObjects(holder, this.pendingEntries)
    this.chunks = new SlotChunks(holder, this.pendingEntries)
  }

  /** Versions of open large puts, with the end of their lease in monotonic ms. */
  get openPuts(): Map<number, number> {
    this.#openPuts ??= new Map()
    return this.#openPuts
  }

  /** Running operations on persistent objects that wait for the persistent store. */
  get persisting(): Set<Promise<unknown>> {
    this.#persisting ??= new Set()
    return this.#persisting
  }

  /** No entry is remote. */
  get isComplete(): boolean {
    return this.pendingEntries.isEmpty
  }

  /** It holds nothing that a request could depend on. */
  get isEmpty(): boolean {
    const { objects, chunks, readLeases, waits, lostKeys, persisted } = this
    if (objects.size > 0 || chunks.groups.size > 0 || (this.#openPuts?.size ?? 0) > 0) return false
    return (
      readLeases.empty && waits === null && lostKeys === null && persisted.empty && this.#persisting === null
    )
  }

  /** How many leases of versions it has. */
  get leases(): number {
    return (this.#openPuts?.size ?? 0) + this.readLeases.size
  }

  /** Drops lapsed leases of versions. */
  dropLapsed(nowMs: number): void {
    if (this.#openPuts !== null) dropLapsed(this.#openPuts, nowMs)
    this.readLeases.dropLapsed(nowMs)
  }

  /** The slot's charge to the job's RAM. */
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

  /** Whether the version is an open large put with a valid lease. */
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

  /** As `SlotObjects.setPlain`. */
  setPlain(
    value: PlainRecord & { readonly key: Uint8Array },
    holder: { admit(bytes: number): void },
  ): number | null {
    const change = this.objects.setPlain(value, holder)
    if (change !== null && this.lostKeys !== null) this.#clearLost(value)
    return change
  }

  /** As `SlotObjects.grow`. */
  grow(key: KeyHash, append: Parameters<SlotObjects['grow']>[1], payload: Uint8Array): boolean {
    if (!this.objects.grow(key, append, payload)) return false
    this.#clearLost(key)
    return true
  }

  /** Records that the object under the key was lost. */
  markLost({ bucket, key }: Omit<KeyHash, 'hash'>): void {
    const name = keyString(key)
    this.lostKeys ??= new Map()
    const keys = this.lostKeys.get(bucket)
    if (keys === undefined) this.lostKeys.set(bucket, new Set([name]))
    else keys.add(name)
  }

  /** Whether a missing key may have been lost. */
  mayHaveLostKey({ bucket, key }: Omit<KeyHash, 'hash'>): boolean {
    return this.mayHaveLost || this.lostKeys?.get(bucket)?.has(keyString(key)) === true
  }

  /** The error for a missing key: `NOT_FOUND`, or `OBJECT_LOST` if it may have been lost. */
  missingError({ bucket, key }: Omit<KeyHash, 'hash'>): MayflyError {
    if (this.lostKeys?.get(bucket)?.has(keyString(key))) {
      return new MayflyError('OBJECT_LOST', 'The node that held the bytes of the object died')
    }
    if (this.mayHaveLost)
      return new MayflyError('OBJECT_LOST', 'The key is not here, and an owner of its slot died')
    return new MayflyError('NOT_FOUND', 'There is no object under this key')
  }

  #clearLost({ bucket, key }: Omit<KeyHash, 'hash'>): void {
    this.lostKeys?.get(bucket)?.delete(keyString(key))
  }
}
