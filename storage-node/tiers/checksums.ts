import { crc32 } from 'node:zlib'
import { MayflyError } from '../../protocol/errors.ts'
import { CHECKSUM_BLOCK_BYTES } from './limits.ts'
import type { Range } from './tier-store.ts'

/** One CRC-32 per block of a record, so that a range can be read and verified alone. */
export type Checksums = readonly number[]

export function checksumsOf(bytes: Buffer): Checksums {
  if (bytes.length <= CHECKSUM_BLOCK_BYTES) return [crc32(bytes)]
  return Array.from({ length: blocksOf(bytes.length) }, (_, block) => crc32(blockAt(bytes, block)))
}

/** The blocks that cover a range: what must be read to verify it. */
export interface BlockRange extends Range {
  /** Number of the first block. */
  readonly first: number
}

export function coveringBlocks(range: Range, recordBytes: number): BlockRange {
  const first = Math.floor(range.offset / CHECKSUM_BLOCK_BYTES)
  const offset = first * CHECKSUM_BLOCK_BYTES
  const end = Math.ceil((range.offset + range.length) / CHECKSUM_BLOCK_BYTES) * CHECKSUM_BLOCK_BYTES
  return { first, offset, length: Math.min(end, recordBytes) - offset }
}

/** What is wrong with the bytes of `blocks`; null if they are intact. */
export function findDamage(bytes: Buffer, blocks: BlockRange, checksums: Checksums): string | null {
  if (bytes.length < blocks.length) return `it is torn, ${bytes.length} of ${blocks.length} bytes are left`
  for (let index = 0; index < blocksOf(blocks.length); index++) {
    if (crc32(blockAt(bytes, index)) !== checksums[blocks.first + index])
      return 'its checksum does not fit its bytes'
  }
  return null
}

/** Throws `OBJECT_LOST` with the reason unless the bytes of `blocks` are intact. */
export function verifyBlocks(bytes: Buffer, blocks: BlockRange, checksums: Checksums): void {
  const damage = findDamage(bytes, blocks, checksums)
  if (damage !== null) throw new MayflyError('OBJECT_LOST', `The record of the object is damaged: ${damage}`)
}

/** The requested range of the blocks, not copied. */
export function cutRange(bytes: Buffer, blocks: BlockRange, range: Range): Buffer {
  const from = range.offset - blocks.offset
  return bytes.subarray(from, from + range.length)
}

function blocksOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / CHECKSUM_BLOCK_BYTES))
}

function blockAt(bytes: Buffer, block: number): Buffer {
  return bytes.subarray(block * CHECKSUM_BLOCK_BYTES, (block + 1) * CHECKSUM_BLOCK_BYTES)
}

/** Throws `CHECKSUM_MISMATCH` unless the received bytes match the client's checksum; null matches any. */
export function verifyArrived(bytes: Uint8Array, checksum: number | null): void {
  if (checksum === null || crc32(bytes) === checksum) return
  throw new MayflyError(
    'CHECKSUM_MISMATCH',
    'The bytes that arrived are not those that were sent; nothing is stored',
  )
}
