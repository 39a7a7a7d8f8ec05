import type { PlainRecord } from '../memory/plain-record.ts'
import type { Slot } from './slot.ts'

/**
 * The put of a value without condition, expiry, metadata and checksum, which most are. Key and value are
 * positions in their message, and one object serves all entries of a batch: nothing is allocated for each.
 */
export class PlainValue implements PlainRecord {
  readonly bucket: number
  readonly keys: Uint8Array
  keyStart = 0
  keyBytes = 0
  /** The key's table hash, and its slot, once it is located. */
  hash = 0
  slot!: Slot
  version = 0
  readonly payload: Uint8Array
  start = 0
  bytes = 0

  constructor(bucket: number, keys: Uint8Array, payload: Uint8Array) {
    this.bucket = bucket
    this.keys = keys
    this.payload = payload
  }

  /** A view of the key. */
  get key(): Uint8Array {
    return this.keys.subarray(this.keyStart, this.keyStart + this.keyBytes)
  }
}
