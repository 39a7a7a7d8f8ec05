import { MayflyError } from '../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Sent } from '../routing/routed-call.ts'
import { asHead, type Router } from '../routing/router.ts'
import { checksumOf } from './integrity.ts'

/** Deletes an object; resolves with whether there was one. */
export async function deleteObject(
  router: Router,
  { hash, ...place }: KeyAddress,
  bounds: Deadline,
): Promise<boolean> {
  const request = (sent: Sent) => ({ ...place, ...sent })
  const call = { hash, request, key: place.key, ...bounds }
  return (await router.mutate(dataOperations.delete, call, asHead)).existed
}

/** Throws `OBJECT_TOO_LARGE` for more than one message. */
export function checkAppend(payload: Uint8Array): void {
  if (payload.length <= CHUNK_BYTES) return
  const what = `append takes up to ${CHUNK_BYTES} bytes at once, not ${payload.length}`
  throw new MayflyError('OBJECT_TOO_LARGE', what)
}

/** Appends to an object; resolves with its new length. */
export async function appendTo(
  router: Router,
  { hash, ...place }: KeyAddress,
  { payload, checksums, bounds }: { payload: Uint8Array; checksums: boolean; bounds: Deadline },
): Promise<number> {
  const checksum = checksumOf(payload, checksums)
  const request = (sent: Sent) => ({ ...place, ...sent, checksum })
  const call = { hash, request, payload, key: place.key, ...bounds }
  return (await router.mutate(dataOperations.append, call, asHead)).bytes
}
