import type { KeptName } from '../../service/kept/kept-store.ts'
import { type KeyString, keyBytes, keyString } from './key-string.ts'

interface Key {
  readonly bucket: number
  readonly key: Uint8Array
}

/**
 * What the object under a mark's name is to its slot. Their numbers travel.
 * - `object`: the slot's object is the one that lies there; a put of unknown outcome may have come after it.
 * - `doubt`: the slot has no object that lies there, but a put whose outcome is unknown may have left one.
 * - `over`: the slot has removed it, because its time was over.
 * - `apart`: it lies there, and the slot had no room for it.
 */
export const PersistedState = { object: 0, uncertain: 1, expired: 2, noRoom: 3 } as const
export type PersistedState = (typeof PersistedState)[keyof typeof PersistedState]

/** Of one that has come over the wire: what is not known is in doubt. */
export function persistedStateOf(number: number): PersistedState {
  return Object.values(PersistedState).find((state) => state === number) ?? PersistedState.uncertain
}

/** That something of a key lies in the kept store, or may. */
export interface PersistedMark {
  /** Of its bucket there. */
  readonly name: string
  /** Of its put, as the store has it: where the object has come back into its job it has another one there. */
  readonly version: number
  readonly state: PersistedState
}

/** Those of the slots that never kept anything. */
const noMarks = new Map<number, Map<KeyString, PersistedMark>>()
const noneStale = new Map<number, Set<KeyString>>()

/** Which keys of a slot have, or may have, an object in the kept store. They are few. */
export class PersistedNames {
  /** By bucket. */
  #marks = noMarks
  /** Keys of these that have no right to be there, by bucket. */
  #stale = noneStale

  get empty(): boolean {
    return this.#marks.size === 0
  }

  find({ bucket, key }: Key): PersistedMark | undefined {
    return this.#marks.size === 0 ? undefined : this.#marks.get(bucket)?.get(keyString(key))
  }

  /** Whether something of the key may lie there. */
  mayHave(key: Key): boolean {
    return this.find(key) !== undefined
  }

  /** Whether the slot's object lies there too. */
  hasObject(key: Key): boolean {
    return this.find(key)?.state === PersistedState.object
  }

  set({ bucket, key }: Key, mark: PersistedMark): void {
    const name = keyString(key)
    if (this.#marks === noMarks) this.#marks = new Map()
    const marks = this.#marks.get(bucket)
    if (marks === undefined) this.#marks.set(bucket, new Map([[name, mark]]))
    else marks.set(name, mark)
    if (mark.state !== PersistedState.uncertain && mark.state !== PersistedState.expired)
      return void this.#stale.get(bucket)?.delete(name)
    if (this.#stale === noneStale) this.#stale = new Map()
    const unwanted = this.#stale.get(bucket)
    if (unwanted === undefined) this.#stale.set(bucket, new Set([name]))
    else unwanted.add(name)
  }

  remove({ bucket, key }: Key): void {
    const marks = this.#marks.get(bucket)
    marks?.delete(keyString(key))
    if (marks?.size === 0) this.#marks.delete(bucket)
    this.#stale.get(bucket)?.delete(keyString(key))
  }

  /** The slot has removed the key's object, whose time was over. */
  markExpired(key: Key): void {
    const mark = this.find(key)
    if (mark !== undefined) this.set(key, { ...mark, state: PersistedState.expired })
  }

  /** Keys whose time was over, or that are in doubt, and that nothing has removed or put anew since. */
  staleKeys(): Key[] {
    return [...this.#stale].flatMap(([bucket, keys]) => keysOf(bucket, keys))
  }

  isStale({ bucket, key }: Key): boolean {
    return this.#stale.get(bucket)?.has(keyString(key)) === true
  }

  /** Buckets with keys of which something may lie there. */
  get buckets(): Iterable<number> {
    return this.#marks.keys()
  }

  inBucket(bucket: number): Key[] {
    return keysOf(bucket, this.#marks.get(bucket)?.keys() ?? [])
  }

  *[Symbol.iterator](): Generator<Key & PersistedMark> {
    for (const [bucket, marks] of this.#marks)
      for (const [key, mark] of marks) yield { bucket, key: keyBytes(key), ...mark }
  }
}

/** The name of what is kept of a key, whose bucket has this name. */
export function persistedName(job: string, key: Uint8Array, bucket: string): KeptName {
  return { job, bucket, key: Buffer.from(key).toString() }
}

function keysOf(bucket: number, keys: Iterable<KeyString>): Key[] {
  return [...keys].map((key) => ({ bucket, key: keyBytes(key) }))
}
