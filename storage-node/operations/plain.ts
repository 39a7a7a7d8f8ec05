import {
  ANY_VERSION,
  type DataReplies,
  type DataRequests,
  ObjectKind,
  PutCondition,
} from '../../protocol/operations/data-operations.ts'
import { ByteRanges } from '../../protocol/wire/byte-ranges.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { NodeJob } from '../job/job.ts'
import type { KeyLocation } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
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
  if (!isWhole(request) || job.spills) return null
  const value = new PlainValue(place.bucket, place.key, nothing)
  value.keyBytes = place.key.length
  value.hash = place.hash
  if (!place.slot.objects.findPlain(value)) return null
  const { version, payload, start, bytes } = value
  const range = new ByteRanges()
  range.add(payload, start, bytes)
  job.movedBytes += bytes
  job.counters.ram.hits++
  const head = {
    version,
    kind: ObjectKind.value,
    bytes,
    checksum: null,
    consumed: false,
    manifest: [],
    lease: 0,
  }
  return { head, payload: range }
}

function isWhole({ consume, version, offset, length }: DataRequests['get']): boolean {
  return !consume && version === ANY_VERSION && offset === 0 && length === 0
}
