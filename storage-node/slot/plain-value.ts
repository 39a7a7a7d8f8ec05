import type { ByteColumn } from '../../protocol/wire/columns.ts'
import type { PlainRead, PlainRecord } from '../memory/plain-record.ts'
import type { Slot } from './slot.ts'

/**
 * A value without expiry, metadata and checksum, which most are, as it is put or read. Key and value are positions in
 * their message or in the arena, and one object serves all entries of a batch: nothing is allocated for each.
 */
export class PlainValue implements PlainRecord, PlainRead {
  readonly bucket: number
  readonly keys: Uint8Array
  keyStart = 0
  keyBytes = 0
  /** The key's table hash, and its slot, once it is located. */
  hash = 0
  slot!: Slot
  version = 0
  payload: Uint8Array
  start = 0
  bytes = 0

  constructor(bucket: number, keys: Uint8Array, payload: Uint8Array) {
    this.bucket = bucket
    this.keys = keys
    this.payload = payload
  }

  /** Takes the key at `index` of the column in whose memory the keys are. */
  takeKey(column: ByteColumn, index: number): void {
    this.keyStart = column.starts[index] as number
    this.keyBytes = column.bytesAt(index)
  }

  /** A view of the key. */
  get key(): Uint8Array {
    return this.keys.subarray(this.keyStart, this.keyStart + this.keyBytes)
  }
}
