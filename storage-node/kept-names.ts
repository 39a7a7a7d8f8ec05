import type { KeptName } from '../service/kept/kept-store.ts'
import { type KeyString, keyBytes, keyString } from './key-string.ts'

interface Key {
  readonly bucket: number
  readonly key: Uint8Array
}

/** Those of the slots that never kept anything. */
const noKeys = new Map<number, Map<KeyString, string>>()
const noneExpired = new Map<number, Set<KeyString>>()

/** Which keys of a slot have an object in the kept store, and the name that their bucket has there. They are few. */
export class KeptNames {
  /** By bucket. */
  #keys = noKeys
  /** Keys of these that the slot has no more, because their time was over, by bucket. */
  #expired = noneExpired

  get empty(): boolean {
    return this.#keys.size === 0
  }

  /** Empty where the key has nothing there. */
  bucketOf({ bucket, key }: Key): string {
    return this.#keys.size === 0 ? '' : (this.#keys.get(bucket)?.get(keyString(key)) ?? '')
  }

  add({ bucket, key }: Key, name: string): void {
    if (this.#keys === noKeys) this.#keys = new Map()
    const keys = this.#keys.get(bucket)
    if (keys === undefined) this.#keys.set(bucket, new Map([[keyString(key), name]]))
    else keys.set(keyString(key), name)
    this.#expired.get(bucket)?.delete(keyString(key))
  }

  remove({ bucket, key }: Key): void {
    const keys = this.#keys.get(bucket)
    keys?.delete(keyString(key))
    if (keys?.size === 0) this.#keys.delete(bucket)
    this.#expired.get(bucket)?.delete(keyString(key))
  }

  /** The slot has removed the key's object, whose time was over. */
  expire(of: Key): void {
    if (this.bucketOf(of) === '') return
    if (this.#expired === noneExpired) this.#expired = new Map()
    const keys = this.#expired.get(of.bucket)
    if (keys === undefined) this.#expired.set(of.bucket, new Set([keyString(of.key)]))
    else keys.add(keyString(of.key))
  }

  /** What `expire` named and nothing has removed or put anew since. */
  expired(): Key[] {
    return [...this.#expired].flatMap(([bucket, keys]) => keysOf(bucket, keys))
  }

  inBucket(bucket: number): Key[] {
    return keysOf(bucket, this.#keys.get(bucket)?.keys() ?? [])
  }
}

/** The name of what is kept of a key, whose bucket has this name. */
export function keptName(job: string, key: Uint8Array, bucket: string): KeptName {
  return { job, bucket, key: Buffer.from(key).toString() }
}

function keysOf(bucket: number, keys: Iterable<KeyString>): Key[] {
  return [...keys].map((key) => ({ bucket, key: keyBytes(key) }))
}
