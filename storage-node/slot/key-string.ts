import { type KeyHash, tableHash } from '../memory/table-hash.ts'

/** A key as a map key: one character per byte, so that strings compare as the bytes do. */
export type KeyString = string

export function keyString(key: Uint8Array): KeyString {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

export function keyBytes(key: KeyString): Buffer {
  return Buffer.from(key, 'latin1')
}

/** The key with its table hash. */
export function keyHash(bucket: number, key: KeyString): KeyHash {
  const bytes = keyBytes(key)
  return { bucket, key: bytes, hash: tableHash(bytes, bucket) }
}
