import { CHUNK_BYTES } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Sent } from '../routing/routed-call.ts'
import { asHead, type Router } from '../routing/router.ts'
import { putChunked } from './chunked.ts'
import { checksumOf } from './integrity.ts'
import type { ObjectFields } from './object-fields.ts'

/** Stores an object: in one message if it fits, otherwise in chunks. */
export function putObject(
  router: Router,
  at: KeyAddress,
  put: ObjectFields & { bytes: Uint8Array; checksums: boolean; bounds: Deadline },
): Promise<{ version: number }> {
  const { bytes, bounds } = put
  if (bytes.length > CHUNK_BYTES) return putChunked(router, at, put)
  const checksum = checksumOf(bytes, put.checksums)
  // Written out, as in all of the hot path: spreading objects costs more than sending them.
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
    key: at.key,
    deadlineMs: bounds.deadlineMs,
    signal: bounds.signal,
    context: bounds.context,
  }
  return router.mutate(dataOperations.put, call, asHead)
}
