import {
  type DataReplies,
  type DataRequests,
  PutCondition,
} from '../../protocol/operations/data-operations.ts'
import { violation } from '../../protocol/wire/reader.ts'
import { checkCount } from './batch-keys.ts'

/** Whether no entry has a condition, an expiry, metadata or a checksum. */
export function arePlain(request: DataRequests['putMany']): boolean {
  const { conditions, ifVersions, ttlSeconds, metadata, checksums } = request
  return [conditions, ifVersions, ttlSeconds, metadata, checksums].every(({ length }) => length === 0)
}

/** Throws `PROTOCOL_VIOLATION`. */
export function checkColumns(request: DataRequests['putMany'], payloadBytes: number): void {
  const { keys, lengths, conditions, ifVersions, ttlSeconds, metadata, checksums } = request
  checkCount(keys)
  for (const column of [conditions, ifVersions, ttlSeconds, metadata, checksums]) {
    if (column.length !== 0 && column.length !== keys.length)
      throw violation('a list of many puts is neither empty nor as long as their keys')
  }
  let sum = 0
  for (let at = 0; at < lengths.length; at++) sum += lengths[at] as number
  if (lengths.length !== keys.length || sum !== payloadBytes)
    throw violation('the lengths of many puts do not add up to their payload')
}

/** One entry of a batched put as a put of its own. */
export function putAt(request: DataRequests['putMany'], index: number): DataRequests['put'] {
  const { epoch, bucket, lane, sequence } = request
  return {
    epoch,
    bucket,
    lane,
    sequence,
    key: request.keys.at(index) as Uint8Array,
    condition: request.conditions[index] ?? PutCondition.always,
    ifVersion: request.ifVersions[index] ?? 0,
    ttlSeconds: request.ttlSeconds[index] ?? 0,
    metadata: request.metadata[index] ?? [],
    checksum: request.checksums[index] ?? null,
    keptBucket: '',
  }
}

/** The payloads of a batched put, in order. */
export function valuesOf({ lengths }: DataRequests['putMany'], payload: Buffer): Buffer[] {
  let offset = 0
  return Array.from(lengths, (length) => {
    offset += length
    return payload.subarray(offset - length, offset)
  })
}

/** Some entries of a batched put as a message of their own. */
export function putsAt(
  request: DataRequests['putMany'],
  values: readonly Buffer[],
  indexes: readonly number[],
): { request: DataRequests['putMany']; payload: Buffer } {
  return {
    request: columnsAt(request, indexes),
    payload: Buffer.concat(indexes.map((at) => values[at] as Buffer)),
  }
}

/** Enters the outcomes of some entries into those of the whole batch. */
export function enterAt(
  whole: { readonly results: Uint8Array; readonly versions: Float64Array },
  { results, versions }: DataReplies['putMany'],
  indexes: readonly number[],
): void {
  indexes.forEach((at, index) => {
    whole.results[at] = results[index] as number
    whole.versions[at] = versions[index] as number
  })
}

function columnsAt(request: DataRequests['putMany'], indexes: readonly number[]): DataRequests['putMany'] {
  const some = <T>(column: readonly T[]): T[] =>
    column.length === 0 ? [] : indexes.map((at) => column[at] as T)
  return {
    ...request,
    keys: some([...request.keys]),
    lengths: some(Array.from(request.lengths)),
    conditions: some(request.conditions),
    ifVersions: some(request.ifVersions),
    ttlSeconds: some(request.ttlSeconds),
    metadata: some(request.metadata),
    checksums: some(request.checksums),
  }
}
