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
export async function putObject(
  router: Router,
  at: KeyAddress,
  put: ObjectFields & { bytes: Uint8Array; checksums: boolean; bounds: Bounds },
): Promise<{ version: number }> {
  const { bytes, bounds, checksums, ...fields } = put
  if (bytes.length > CHUNK_BYTES) return await putLarge(router, at, put)
  const { hash, ...place } = at
  const checksum = checksumOf(bytes, checksums)
  const request = (sent: Sent) => ({ ...place, ...sent, ...fields, checksum })
  return await router.mutate(dataOperations.put, { hash, request, payload: bytes, ...bounds }, asHead)
}
