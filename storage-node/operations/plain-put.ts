import { PAYLOAD_COPIED_BYTES_MAX } from '../../protocol/limits.ts'
import { type DataRequests, PutCondition } from '../../protocol/operations/data-operations.ts'
import type { NodeJob } from '../job/job.ts'
import { locatePlain } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { PlainValue } from '../slot/plain-value.ts'

/** Whether a put has nothing besides a value that fits into its record. */
export function isPlain(put: DataRequests['put'], bytes: number): boolean {
  return (
    bytes <= PAYLOAD_COPIED_BYTES_MAX &&
    put.condition === PutCondition.always &&
    put.ttlSeconds === 0 &&
    put.checksum === null &&
    put.metadata.length === 0
  )
}

/** Stores a plain value. Returns the version; null as `ObjectTable.storePlain` returns false. */
export function putPlain(
  table: ObjectTable,
  job: NodeJob,
  { bucket, key }: DataRequests['put'],
  payload: Uint8Array,
): number | null {
  const value = new PlainValue(bucket, key, payload)
  value.keyBytes = key.length
  value.bytes = payload.length
  locatePlain(job, value)
  value.version = value.slot.nextVersion()
  return table.storePlain(job, value) ? value.version : null
}
