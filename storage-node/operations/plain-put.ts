import { type DataRequests, PutCondition } from '../../protocol/operations/data-operations.ts'
import type { NodeJob } from '../job/job.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { PlainValue } from '../slot/plain-value.ts'

/** Stores a plain value. Returns the version; null if the put has more than a value, or as `ObjectTable.storePlain` returns false. */
export function putPlain(
  table: ObjectTable,
  job: NodeJob,
  request: DataRequests['put'],
  payload: Uint8Array,
): number | null {
  if (!isPlain(request)) return null
  const value = new PlainValue(request.bucket, request.key, payload)
  value.keyBytes = request.key.length
  value.bytes = payload.length
  return table.storePlain(job, value) ? value.version : null
}

function isPlain({ condition, ttlSeconds, checksum, metadata }: DataRequests['put']): boolean {
  return condition === PutCondition.always && ttlSeconds === 0 && checksum === null && metadata.length === 0
}
