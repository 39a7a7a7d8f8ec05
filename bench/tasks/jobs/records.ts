import { randomFillSync } from 'node:crypto'

/** Records as in the sort benchmark of Gray: the first 10 of 100 bytes are the key. */
export const RECORD_BYTES = 100
const KEY_BYTES = 10
const WORDS = RECORD_BYTES / 4
/** Checksums stay below this, so that those of thousands of objects add up exactly. */
export const CHECKSUM_MODULUS = 2 ** 40
/** A prefix of 32 bits of the key and the index of its record together are an exact double. */
const INDEX_MODULUS = 2 ** 21
const PREFIX_MODULUS = 2 ** 32

export function makeRecords(count: number): Buffer {
  return randomFillSync(Buffer.allocUnsafe(count * RECORD_BYTES))
}

/** The sum of a hash of each record, so that it does not depend on their order. */
export function checksumOf(records: Buffer): number {
  const words = wordsOf(records)
  let sum = 0
  for (let at = 0; at < words.length; at += WORDS) {
    let hash = 0
    for (let word = at; word < at + WORDS; word++) {
      hash = Math.imul(hash ^ (words[word] ?? 0), 0x9e3779b1)
      hash ^= hash >>> 15
    }
    sum += hash >>> 0
  }
  return sum % CHECKSUM_MODULUS
}

/** One buffer of records for each range of keys; the ranges have the same size, as keys are uniform. */
export function partition(records: Buffer, ranges: number): Buffer[] {
  const count = records.length / RECORD_BYTES
  const rangeOf = new Uint16Array(count)
  const bytes = new Float64Array(ranges)
  for (let index = 0; index < count; index++) {
    const range = Math.floor((prefixOf(records, index) * ranges) / PREFIX_MODULUS)
    rangeOf[index] = range
    bytes[range] = (bytes[range] ?? 0) + RECORD_BYTES
  }
  const parts = [...bytes].map((length) => Buffer.allocUnsafe(length))
  const filled = new Float64Array(ranges)
  for (let index = 0; index < count; index++) {
    const range = rangeOf[index] ?? 0
    const at = filled[range] ?? 0
    records.copy(parts[range] as Buffer, at, index * RECORD_BYTES, (index + 1) * RECORD_BYTES)
    filled[range] = at + RECORD_BYTES
  }
  return parts
}

/** Sorts by the prefix of the key and then, where prefixes are equal, by the whole key. */
export function sortRecords(records: Buffer): Buffer {
  const count = records.length / RECORD_BYTES
  if (count > INDEX_MODULUS) throw new Error(`${count} records are too many for one sort`)
  const order = new Float64Array(count)
  for (let index = 0; index < count; index++) order[index] = prefixOf(records, index) * INDEX_MODULUS + index
  order.sort()
  orderEqualPrefixes(order, records)
  const sorted = Buffer.allocUnsafe(records.length)
  for (const [place, value] of order.entries()) {
    const from = (value % INDEX_MODULUS) * RECORD_BYTES
    records.copy(sorted, place * RECORD_BYTES, from, from + RECORD_BYTES)
  }
  return sorted
}

/** The first index whose key is below the one before it, or null. */
export function findDisorder(records: Buffer): number | null {
  for (let at = RECORD_BYTES; at < records.length; at += RECORD_BYTES)
    if (compareKeys(records, at - RECORD_BYTES, at) > 0) return at / RECORD_BYTES
  return null
}

/** In hexadecimal digits, which order as keys do. */
export function keyAt(records: Buffer, index: number): string {
  return records.toString('hex', index * RECORD_BYTES, index * RECORD_BYTES + KEY_BYTES)
}

function orderEqualPrefixes(order: Float64Array, records: Buffer): void {
  const prefixAt = (place: number): number => Math.floor((order[place] ?? -1) / INDEX_MODULUS)
  for (let first = 0; first < order.length; ) {
    let end = first + 1
    while (end < order.length && prefixAt(end) === prefixAt(first)) end++
    if (end - first > 1)
      order
        .subarray(first, end)
        .sort((a, b) =>
          compareKeys(records, (a % INDEX_MODULUS) * RECORD_BYTES, (b % INDEX_MODULUS) * RECORD_BYTES),
        )
    first = end
  }
}

function compareKeys(records: Buffer, a: number, b: number): number {
  return records.compare(records, b, b + KEY_BYTES, a, a + KEY_BYTES)
}

function prefixOf(records: Buffer, index: number): number {
  return records.readUInt32BE(index * RECORD_BYTES)
}

/** Copies what a client has not aligned. */
function wordsOf(records: Buffer): Uint32Array {
  const { buffer, byteOffset, length } = records.byteOffset % 4 === 0 ? records : Buffer.from(records)
  return new Uint32Array(buffer, byteOffset, length / 4)
}
