import { CHUNK_BYTES } from '../../protocol/limits.ts'
import type { Exchange } from '../http/exchange.ts'
import type { ByteRange } from './byte-range.ts'

/** A version of an object, and the bytes of it that are read. */
export interface VersionRange {
  readonly bucket: string
  readonly key: string
  readonly version: number
  readonly range: ByteRange
}

/** Throws an error for which `wasReplaced` holds if the version is gone before its last byte. */
export async function* readVersion(
  { job, signal }: Exchange,
  { bucket, key, version, range }: VersionRange,
): AsyncGenerator<Buffer> {
  const bytes = range.end - range.start
  if (bytes === 0) return
  const options = { bucket, signal, range, ifVersion: version }
  if (bytes <= CHUNK_BYTES) yield await job.get(key, options)
  else yield* job.getStream(key, options) as AsyncIterable<Buffer>
}
