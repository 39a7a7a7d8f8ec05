import { crc32 } from 'node:zlib'
import { MayflyError } from '../../protocol/errors.ts'

/** The checksum sent with bytes, if the job was opened with `checksums`. */
export function checksumOf(bytes: Uint8Array, checksums: boolean): number | null {
  return checksums ? crc32(bytes) : null
}

/** Throws `CHECKSUM_MISMATCH` unless the bytes match their writer's checksum; null matches any. */
export function verify(bytes: Uint8Array, checksum: number | null): void {
  if (checksum === null || crc32(bytes) === checksum) return
  throw new MayflyError('CHECKSUM_MISMATCH', 'The bytes are not those that were put')
}
