import { type KeyString, keyBytes, keyString } from './key-string.ts'

interface Key {
  readonly bucket: number
  readonly key: Uint8Array
}

/** Which keys of a slot have an object in the kept store, and the name that their bucket has there. They are few. */
export class KeptNames {
  /** By bucket. */
  readonly #keys = new Map<number, Map<KeyString, string>>()

  get empty(): boolean {
    return this.#keys.size === 0
  }

  /** Empty where the key has nothing there. */
  bucketOf({ bucket, key }: Key): string {
    return this.#keys.size === 0 ? '' : (this.#keys.get(bucket)?.get(keyString(key)) ?? '')
  }

  add({ bucket, key }: Key, name: string): void {
    const keys = this.#keys.get(bucket)
    if (keys === undefined) this.#keys.set(bucket, new Map([[keyString(key), name]]))
    else keys.set(keyString(key), name)
  }

  remove({ bucket, key }: Key): void {
    const keys = this.#keys.get(bucket)
    keys?.delete(keyString(key))
    if (keys?.size === 0) this.#keys.delete(bucket)
  }

  /** The keys of a bucket. */
  inBucket(bucket: number): Key[] {
    return [...(this.#keys.get(bucket)?.keys() ?? [])].map((key) => ({ bucket, key: keyBytes(key) }))
  }
}
