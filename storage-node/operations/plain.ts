import {
  ANY_VERSION,
  type DataReplies,
  type DataRequests,
  ObjectKind,
  PutCondition,
} from '../../protocol/operations/data-operations.ts'
import { ByteRanges } from '../../protocol/wire/byte-ranges.ts'
import { copyRange } from '../../protocol/wire/copy-bytes.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { NodeJob } from '../job/job.ts'
import type { KeyLocation } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import type { PlainRead } from '../memory/plain-record.ts'
import { PlainValue } from '../slot/plain-value.ts'

const nothing = new Uint8Array(0)

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

/** Reads a plain value whole, without a view of it. Null if the get asks for more than that, or the key has no plain value in RAM. */
export function getPlain(
  job: NodeJob,
  place: KeyLocation,
  request: DataRequests['get'],
): Reply<DataReplies['get']> | null {
  // A job that spills counts reads in the records.
  if (request.consume || !isWhole(request) || job.spills) return null
  const value = new PlainValue(place.bucket, place.key, nothing)
  value.keyBytes = place.key.length
  value.hash = place.hash
  if (!place.slot.objects.findPlain(value)) return null
  const { payload, start, bytes } = value
  const range = new ByteRanges()
  range.add(payload, start, bytes)
  countRead(job, bytes)
  return { head: headOf(value, false), payload: range }
}

/** The answer to a consuming get that has waited for the value, which is not stored. The value's memory may change after this. */
export function deliverPlain(job: NodeJob, value: PlainRead): Reply<DataReplies['get']> {
  const { start, bytes } = value
  const payload = Buffer.allocUnsafe(bytes)
  copyRange(value.payload, start, bytes, payload, 0)
  countRead(job, bytes)
  if (job.spills) job.counters.readAgain(0)
  return { head: headOf(value, true), payload }
}

/** Whether a get takes the whole object, whatever its version. */
export function isWholeConsume(request: DataRequests['get']): boolean {
  return request.consume && isWhole(request)
}

function countRead(job: NodeJob, bytes: number): void {
  job.movedBytes += bytes
  job.counters.ram.hits++
}

function headOf({ version, bytes }: PlainRead, consumed: boolean): DataReplies['get'] {
  return { version, kind: ObjectKind.value, bytes, checksum: null, consumed, manifest: [], lease: 0 }
}

function isWhole({ version, offset, length }: DataRequests['get']): boolean {
  return version === ANY_VERSION && offset === 0 && length === 0
}
