import { dataOperations } from '../protocol/data-operations.ts'
import { CHUNK_BYTES } from '../protocol/limits.ts'
import type { Bounds } from './bounds.ts'
import { checksumOf } from './integrity.ts'
import type { KeyAddress } from './key-address.ts'
import { putLarge } from './large-object.ts'
import type { ObjectFields } from './object-fields.ts'
import type { Sent } from './routed-call.ts'
import { asHead, type Router } from './router.ts'

/** Stores an object, in one message where it fits, in chunks where it does not. */
export function putObject(
  router: Router,
  at: KeyAddress,
  put: ObjectFields & { bytes: Uint8Array; checksums: boolean; bounds: Bounds },
): Promise<{ version: number }> {
  const { bytes, bounds } = put
  if (bytes.length > CHUNK_BYTES) return putLarge(router, at, put)
  const checksum = checksumOf(bytes, put.checksums)
  // Written out, here and in all of the hot path: spreading objects costs more than sending them.
  const request = ({ epoch, lane, sequence }: Sent) => ({
    epoch,
    bucket: at.bucket,
    key: at.key,
    lane,
    sequence,
    condition: put.condition,
    ifVersion: put.ifVersion,
    ttlSeconds: put.ttlSeconds,
    metadata: put.metadata,
    checksum,
    keptBucket: put.keptBucket,
  })
  const call = {
    hash: at.hash,
    request,
    payload: bytes,
    deadlineMs: bounds.deadlineMs,
    signal: bounds.signal,
  }
  return router.mutate(dataOperations.put, call, asHead)
}
