import { type KeyHash, tableHash } from '../memory/table-hash.ts'

/** Keys as maps hold them: one character for each byte, so that strings compare as the bytes do. */
export type KeyString = string

export function keyString(key: Uint8Array): KeyString {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

export function keyBytes(key: KeyString): Buffer {
  return Buffer.from(key, 'latin1')
}

/** The key as tables find it. */
export function keyHash(bucket: number, key: KeyString): KeyHash {
  const bytes = keyBytes(key)
  return { bucket, key: bytes, hash: tableHash(bytes, bucket) }
}
