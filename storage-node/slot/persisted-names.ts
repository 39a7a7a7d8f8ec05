import type { PersistedName } from '../../service/persisted/persisted-store.ts'
import { type KeyString, keyBytes, keyString } from './key-string.ts'

interface Key {
  readonly bucket: number
  readonly key: Uint8Array
}

/**
 * How the persisted object of a key relates to the slot's object. The numbers travel.
 * - `object`: it is the slot's object; a put of unknown outcome may have replaced it in the store.
 * - `uncertain`: the slot has no persisted object, but a put of unknown outcome may have written one.
 * - `expired`: the slot has removed the object because its time to live ended.
 * - `noRoom`: it is in the store, and the slot had no room for it.
 */
export const PersistedState = { object: 0, uncertain: 1, expired: 2, noRoom: 3 } as const
export type PersistedState = (typeof PersistedState)[keyof typeof PersistedState]

/** Parses a state from the wire; unknown numbers are `uncertain`. */
export function persistedStateOf(number: number): PersistedState {
  return Object.values(PersistedState).find((state) => state === number) ?? PersistedState.uncertain
}

/** Records that the persistent store has, or may have, an object of a key. */
export interface PersistedMark {
  /** The bucket's name in the store. */
  readonly name: string
  /** The version in the store; a recovered object has another version in its slot. */
  readonly version: number
  readonly state: PersistedState
}

/** Shared by slots that never persisted anything. */
const noMarks = new Map<number, Map<KeyString, PersistedMark>>()
const noneStale = new Map<number, Set<KeyString>>()

/** The keys of a slot that have, or may have, an object in the persistent store. */
export class PersistedNames {
  /** By bucket. */
  #marks = noMarks
  /** Keys whose persisted object has to be removed, by bucket. */
  #stale = noneStale

  get empty(): boolean {
    return this.#marks.size === 0
  }

  find({ bucket, key }: Key): PersistedMark | undefined {
    return this.#marks.size === 0 ? undefined : this.#marks.get(bucket)?.get(keyString(key))
  }

  /** Whether the store may have an object of the key. */
  mayHave(key: Key): boolean {
    return this.find(key) !== undefined
  }

  /** Whether the store has the slot's object. */
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

  /** The slot has removed the key's object because its time to live ended. */
  markExpired(key: Key): void {
    const mark = this.find(key)
    if (mark !== undefined) this.set(key, { ...mark, state: PersistedState.expired })
  }

  /** Keys that are expired or uncertain and have not been put or removed since. */
  staleKeys(): Key[] {
    return [...this.#stale].flatMap(([bucket, keys]) => keysOf(bucket, keys))
  }

  isStale({ bucket, key }: Key): boolean {
    return this.#stale.get(bucket)?.has(keyString(key)) === true
  }

  /** Buckets with keys that the store may have. */
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

/** The name of a key's object in the persistent store; `bucket` is the bucket's name. */
export function persistedName(job: string, key: Uint8Array, bucket: string): PersistedName {
  return { job, bucket, key: Buffer.from(key).toString() }
}

function keysOf(bucket: number, keys: Iterable<KeyString>): Key[] {
  return [...keys].map((key) => ({ bucket, key: keyBytes(key) }))
}
