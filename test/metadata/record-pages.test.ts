import { expect, test } from 'vitest'
import { ADDRESS_BYTES_MAX } from '../../controller/limits.ts'
import { decodeRecord, newRecord } from '../../metadata/decide/job-record.ts'
import { ArrivingRecords, recordPages } from '../../metadata/decide/record-pages.ts'
import {
  BUCKET_NAME_BYTES_MAX,
  BUCKETS_MAX,
  JOB_NODES_MAX,
  PAYLOAD_BYTES_MAX,
  SLOTS_MAX,
} from '../../protocol/limits.ts'

const address = 'a'.repeat(ADDRESS_BYTES_MAX)
const nodes = Array.from({ length: JOB_NODES_MAX }, (_, index) => ({ id: `n-${index}`, address }))
const numbers = { ramBytes: 1, ssdBytes: 1, s3Bytes: 1, bytesPerSecond: 1 }

/** A job of the largest size that its bounds allow. */
const largest = {
  ...newRecord('j-1', SLOTS_MAX),
  term: 3,
  shares: nodes.map(({ id }) => ({ node: id, address, weight: 1, ...numbers })),
  nodes,
  owners: Uint16Array.from({ length: SLOTS_MAX }, (_, slot) => slot % JOB_NODES_MAX),
  buckets: Array.from({ length: BUCKETS_MAX }, (_, id) => ({ id, name: 'b'.repeat(BUCKET_NAME_BYTES_MAX) })),
}

test('I27: the record of the largest job goes to another metadata server in pages that fit a frame', () => {
  const pages = recordPages(largest)
  const arriving = new ArrivingRecords()
  expect(pages.length).toBeGreaterThan(4)
  for (const { payload } of pages) expect(payload.length).toBeLessThanOrEqual(PAYLOAD_BYTES_MAX)
  const taken = pages.map(({ request, payload }) => arriving.add(request, payload))
  expect(taken.slice(0, -1).every((record) => record === null)).toBe(true)
  expect(decodeRecord(taken.at(-1) ?? Buffer.alloc(0))).toEqual(largest)
})

test('a record begins anew with its first page, and one with a gap is not taken', () => {
  const [first, second, third] = recordPages(largest)
  if (first === undefined || second === undefined || third === undefined) throw new Error('three pages')
  const arriving = new ArrivingRecords()
  expect(() => arriving.add(second.request, second.payload)).toThrow('out of order')
  arriving.add(first.request, first.payload)
  expect(() => arriving.add(third.request, third.payload)).toThrow('out of order')
  arriving.add(first.request, first.payload)
  arriving.add(second.request, second.payload)
  expect(() => arriving.add({ ...third.request, term: 4 }, third.payload)).toThrow('out of order')
  expect(arriving.add(third.request, third.payload)).toBeNull()
})
