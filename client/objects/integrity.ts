import { crc32 } from 'node:zlib'
import { MayflyError } from '../../protocol/errors.ts'

/** The checksum that travels with bytes, where the job was opened with `checksums`. */
export function checksumOf(bytes: Uint8Array, checksums: boolean): number | null {
  return checksums ? crc32(bytes) : null
}

/** Throws `CHECKSUM_MISMATCH` unless the bytes are those that their writer made the checksum of; null fits any. */
export function verify(bytes: Uint8Array, checksum: number | null): void {
  if (checksum === null || crc32(bytes) === checksum) return
  throw new MayflyError('CHECKSUM_MISMATCH', 'The bytes are not those that were put')
}
