import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Crc32c, Crc64Nvme } from '@aws-sdk/checksums/crc'
import { S3Error } from './s3-error.ts'

/** The checksums that S3 knows, in the order in which it prefers them. */
export const checksumAlgorithms = ['CRC64NVME', 'CRC32C', 'CRC32', 'SHA1', 'SHA256'] as const
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number]

/** A checksum of an object or a part, in base64; of parts' checksums with their number behind a `-`. */
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm
  readonly value: string
}

const bytesOf: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC64NVME: 8,
  CRC32C: 4,
  CRC32: 4,
  SHA1: 20,
  SHA256: 32,
}

export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`
}

export function isChecksumAlgorithm(text: string): text is ChecksumAlgorithm {
  return (checksumAlgorithms as readonly string[]).includes(text)
}

/** Whether checksums of parts can be combined to that of the whole: S3 allows it for CRCs alone. */
export function isLinear(algorithm: ChecksumAlgorithm): boolean {
  return algorithm.startsWith('CRC')
}

/** The checksum that a request names by a header or a trailer; null without one. Throws `InvalidRequest`. */
export function checksumIn(headers: ReadonlyMap<string, string>): Checksum | null {
  const named = checksumAlgorithms.filter((algorithm) => headers.has(checksumHeader(algorithm)))
  const [algorithm, ...others] = named
  if (algorithm === undefined) return null
  if (others.length > 0)
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.',
    )
  const value = headers.get(checksumHeader(algorithm)) ?? ''
  const [base64 = '', parts] = value.split('-')
  const isNumber = parts === undefined || /^\d+$/.test(parts)
  if (!isNumber || Buffer.from(base64, 'base64').length !== bytesOf[algorithm])
    throw new S3Error('InvalidRequest', `Value for ${checksumHeader(algorithm)} header is invalid.`)
  return { algorithm, value }
}

/** Computes one digest of bytes that arrive piece by piece. */
export interface Digest {
  update(bytes: Uint8Array): void
  digest(): Promise<Uint8Array>
}

export function checksumDigest(algorithm: ChecksumAlgorithm): Digest {
  switch (algorithm) {
    case 'CRC32':
      return new Crc32()
    case 'CRC32C':
      return new Crc32c()
    case 'CRC64NVME':
      return new Crc64Nvme()
    case 'SHA1':
      return new Hash('sha1')
    case 'SHA256':
      return new Hash('sha256')
  }
}

export class Hash implements Digest {
  readonly #hash
  constructor(algorithm: 'md5' | 'sha1' | 'sha256') {
    this.#hash = createHash(algorithm)
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
}

class Crc32 implements Digest {
  #value = 0

  update(bytes: Uint8Array): void {
    this.#value = crc32(bytes, this.#value)
  }

  async digest(): Promise<Uint8Array> {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(this.#value)
    return bytes
  }
}
