import { expect, test } from 'vitest'
import { headBytes } from '../../../client/objects/put-many.ts'
import { ADDRESS_BYTES_MAX, JOBS_MAX, TICKET_PREFIX_BYTES_MAX } from '../../../controller/limits.ts'
import {
  BUCKET_NAME_BYTES_MAX,
  BUCKETS_MAX,
  CHUNK_BYTES,
  CHUNKS_MAX,
  HEAD_BYTES_MAX,
  HELLO_BYTES_MAX,
  JOB_NODES_MAX,
  KEY_BYTES_MAX,
  LANES_MAX,
  LIST_PAGE_MAX,
  MANIFEST_RUNS_MAX,
  MANY_KEYS_MAX,
  METADATA_BYTES_MAX,
  MOVE_SLOTS_MAX,
  MOVES_MAX,
  NONCE_BYTES,
  OBJECT_BYTES_MAX,
  RESUME_MAX,
  SLOTS_MAX,
} from '../../../protocol/limits.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { partsOfToken, signToken } from '../../../protocol/model/token.ts'
import { dataOperations } from '../../../protocol/operations/data-operations.ts'
import type { ReplyOf, RequestOf } from '../../../protocol/operations/operation.ts'
import { operations } from '../../../protocol/operations/operations.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { type Codec, encode } from '../../../protocol/wire/codec.ts'
import {
  HEARTBEAT_JOBS_MAX,
  INDEX_PAGE_BYTES,
  LIST_PAGE_BYTES_MAX,
  METADATA_NAMES_MAX,
  PULL_ITEMS_MAX,
  RECLAIM_BATCH,
} from '../../../storage-node/limits.ts'
import { keyString } from '../../../storage-node/slot/key-string.ts'
import { PersistedState } from '../../../storage-node/slot/persisted-names.ts'
import { startOwnTime } from '../../fixture/own-time.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { budgetFields } from '../support/requests.ts'

const { clock } = systemRuntime
/** It takes one second. 60,000 read leases once made it 33. */
const MOVED_MS_MAX = 5_000
const key = Buffer.alloc(KEY_BYTES_MAX, 'k')
const node = { id: 'n-abcdefghijklm', address: 'a'.repeat(ADDRESS_BYTES_MAX) }
const jobId = 'j-abcdefghijklmnopqrst'

function fill<Item>(count: number, item: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => item(index))
}

/** As many characters of three bytes as an object's metadata may have. */
const metadata = [{ name: 'n', value: '€'.repeat(Math.floor((METADATA_BYTES_MAX - 1) / 3)) }]
const manyNames = fill(METADATA_NAMES_MAX, (index) => ({ name: String(index), value: '' }))
const runs = fill(MANIFEST_RUNS_MAX, (index) => ({ count: 1, chunkBytes: 1 + (index % 2) }))

const budget = { ...budgetFields, readsPerThousand: 1 }
const speaker = { job: jobId, metadata: node.address, generation: 1, term: 1 }
const placement = {
  epoch: 1,
  nodes: fill(JOB_NODES_MAX, () => node),
  owners: Uint16Array.from({ length: SLOTS_MAX }, (_, slot) => slot % JOB_NODES_MAX),
}
const share = { node: node.id, address: node.address, weight: 1, ...budget }
const shares = { job: jobId, readsPerThousand: 1, shares: fill(JOB_NODES_MAX, () => share) }
/** Only slots of moves under way have a source. */
const owned = fill(SLOTS_MAX, (first) => {
  const source = first < MOVES_MAX * MOVE_SLOTS_MAX ? node.address : ''
  return { first, count: 1, epoch: 1, lost: true, origin: 0, source }
})
const many = { epoch: 1, bucket: 1, keys: fill(MANY_KEYS_MAX, () => key) }
const numbers = fill(MANY_KEYS_MAX, () => 1)
const repeatable = { lane: 1, sequence: 1 }
const address = { epoch: 1, bucket: 1, key }
const slots = fill(SLOTS_MAX, (slot) => slot)
const buckets = { next: 1, living: fill(BUCKETS_MAX, (id) => ({ first: 2 * id, count: 1 })) }

/** As many entries as the SDK sends in one message, with every field. */
function putMany(of: { key: Buffer; metadata: typeof metadata }): RequestOf<typeof operations.putMany> {
  const count = Math.min(MANY_KEYS_MAX, Math.floor(HEAD_BYTES_MAX / headBytes(of.key, of.metadata)))
  return {
    ...{ epoch: 1, bucket: 1, ...repeatable },
    keys: fill(count, () => of.key),
    lengths: fill(count, () => 1),
    conditions: fill(count, () => 2),
    ifVersions: fill(count, () => 1),
    ttlSeconds: fill(count, () => 1),
    metadata: fill(count, () => of.metadata),
    checksums: fill(count, () => 1),
  }
}

const lostKey = { bucket: 1, key }
const largestEntry = {
  ...{ ...lostKey, version: 1, base: 1, bytes: 1, tier: 0, ttlMs: 1, checksum: 1 },
  ...{ manifest: runs, metadata: manyNames },
}
const token = signToken(Buffer.alloc(32), {
  ...{ job: jobId, read: true, write: true, expiresSeconds: 1 },
  prefix: Buffer.alloc(TICKET_PREFIX_BYTES_MAX),
})
const hello = { protocol: 1, claims: partsOfToken(token).claims, nonce: Buffer.alloc(NONCE_BYTES) }

type Name = keyof typeof operations
type Row = readonly [title: string, bytes: number, bytesMax: number]
const inTable = new Set<string>()

function request<Each extends Name>(
  name: Each,
  value: RequestOf<(typeof operations)[Each]>,
  { what = '', bytesMax = HEAD_BYTES_MAX } = {},
): Row {
  inTable.add(`${name}, request`)
  const codec = operations[name].request as Codec<unknown>
  return [`${name}${what}`, encode(codec, value).length, bytesMax]
}

function reply<Each extends Name>(name: Each, value: ReplyOf<(typeof operations)[Each]>): Row {
  inTable.add(`${name}, reply`)
  return [`${name}, answered`, encode(operations[name].reply as Codec<unknown>, value).length, HEAD_BYTES_MAX]
}

/** Messages that grow with data, each filled to its bounds; of those that are paged, the largest page. */
const full: Row[] = [
  request(
    'hello',
    {
      ...hello,
      resume: fill(RESUME_MAX, () => Buffer.alloc(NONCE_BYTES)),
      mutations: 1,
      proof: Buffer.alloc(32),
    },
    { bytesMax: HELLO_BYTES_MAX },
  ),
  request('own', { ...speaker, revision: 1, slots: SLOTS_MAX, ...budget, buckets, owned }),
  reply('placement', placement),
  request('jobCreate', { ...shares, slots: SLOTS_MAX }),
  reply('jobCreate', placement),
  request('jobShares', shares),
  reply('jobShares', placement),
  reply(
    'jobs',
    fill(JOBS_MAX, () => ({ job: jobId })),
  ),
  request('nodesDied', { nodes: fill(JOB_NODES_MAX, () => node.id) }),
  reply(
    'buckets',
    fill(BUCKETS_MAX, (id) => ({ id, name: 'b'.repeat(BUCKET_NAME_BYTES_MAX) })),
  ),
  request('heartbeat', { node: node.id, jobs: fill(HEARTBEAT_JOBS_MAX, () => jobId) }),
  reply('heartbeat', {
    leaseMs: 1,
    jobs: [],
    moved: fill(HEARTBEAT_JOBS_MAX, () => ({ job: jobId, term: 1 })),
  }),
  reply('jobBuckets', { revision: 1, buckets }),
  request('release', { ...speaker, epoch: 1, slots, target: node }),
  request('settled', { job: jobId, epoch: 1, slots }),
  request('drop', { ...speaker, epoch: 1, slots }),
  request('versionsAlive', {
    job: jobId,
    versions: fill(RECLAIM_BATCH, () => ({ ...lostKey, version: 1 })),
  }),
  request('slotIndex', {
    ...{ job: jobId, slot: 1, epoch: 1, page: 1, last: true },
    entries: [largestEntry],
    ...{ chunks: [], openPuts: [], readLeases: [], kept: [] },
    lostKeys: fill(Math.ceil(INDEX_PAGE_BYTES / KEY_BYTES_MAX), () => lostKey),
  }),
  request('pull', {
    job: jobId,
    slot: 1,
    epoch: 1,
    items: fill(PULL_ITEMS_MAX, () => ({ ...lostKey, version: 1, chunk: 1, offset: 1 })),
  }),
  reply('pull', { bytes: fill(PULL_ITEMS_MAX, () => 1) }),
  request('put', {
    ...{ ...address, ...repeatable, condition: 0, ifVersion: 0, ttlSeconds: 1 },
    ...{ metadata: manyNames, checksum: 1, keptBucket: 'b'.repeat(BUCKET_NAME_BYTES_MAX) },
  }),
  reply('get', {
    ...{ version: 1, kind: 1, bytes: 1, checksum: 1, consumed: false, lease: 1 },
    manifest: runs,
  }),
  reply('stat', {
    ...{ bytes: 1, version: 1, tier: 0, expiresAtMs: 1, persist: false },
    metadata: manyNames,
  }),
  request('putCommit', {
    ...{ ...address, ...repeatable, condition: 0, ifVersion: 0, version: 1, ttlSeconds: 1 },
    ...{ manifest: runs, metadata, keptBucket: 'b' },
  }),
  request('list', {
    ...{ epoch: 1, bucket: 1, prefix: key, after: key, limit: LIST_PAGE_MAX, acceptHoles: false, listing: 1 },
    slots: Buffer.alloc(SLOTS_MAX / 8),
  }),
  // A page is cut after the entry that exceeds its bytes.
  reply('list', {
    complete: false,
    entries: fill(Math.ceil(LIST_PAGE_BYTES_MAX / KEY_BYTES_MAX) + 1, () => ({
      key: key.toString(),
      bytes: 1,
    })),
  }),
  request('getMany', { ...many, checksums: true }),
  reply('getMany', { lengths: fill(MANY_KEYS_MAX, () => 1), checksums: fill(MANY_KEYS_MAX, () => 1) }),
  request('statMany', many),
  reply('statMany', {
    ...{ results: Buffer.alloc(MANY_KEYS_MAX), tiers: Buffer.alloc(MANY_KEYS_MAX) },
    persist: Buffer.alloc(MANY_KEYS_MAX),
    ...{ bytes: numbers, versions: numbers, expiresAtMs: numbers, metadataBytes: numbers },
  }),
  request('waitMany', { ...many, waitMs: 1 }),
  request('deleteMany', { ...many, ...repeatable }),
  request('putMany', putMany({ key, metadata: [] }), { what: ' of the longest keys' }),
  request('putMany', putMany({ key: key.subarray(0, 1), metadata: [] }), { what: ' of the shortest keys' }),
  request('putMany', putMany({ key, metadata }), { what: ' of the largest metadata' }),
  request('putMany', putMany({ key, metadata: manyNames }), { what: ' of the most names' }),
  reply('putMany', { results: Buffer.alloc(MANY_KEYS_MAX), versions: fill(MANY_KEYS_MAX, () => 1) }),
  request('settle', { lanes: fill(LANES_MAX, (lane) => ({ lane, sequence: 16 })) }),
]

test.each(full)('I27: %s fits the head of a frame when it is filled to its bounds', (_, bytes, bytesMax) => {
  expect(bytes).toBeLessThanOrEqual(bytesMax)
})

test('I27: each message that has a list is among those that were filled to their bounds', () => {
  const growing = Object.entries(operations).flatMap(([name, { request, reply }]) => [
    ...(request.shape.includes('[') ? [`${name}, request`] : []),
    ...(reply.shape.includes('[') ? [`${name}, reply`] : []),
  ])
  expect(growing.length).toBeGreaterThan(25)
  expect(growing.filter((message) => !inTable.has(message))).toEqual([])
})

test('I27: a slot whose every list is far over one message moves, and its new owner soon knows all of it', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const job = await open(await planes.createJob('j-1', [nodes[0]], { slots: 1 }))
  const slot = nodes[0].node.requireJob('j-1').ownedSlot(0)
  // State that takes hours, deaths and 60,000 readers to arise is written into the node's memory.
  const lost = fill(12_000, (index) => Buffer.from(String(index).padStart(KEY_BYTES_MAX, 'l')))
  for (const name of lost) slot.markLost({ bucket: 0, key: name })
  const untilMs = clock.monotonicMs() + 60_000
  for (let lease = 0; lease < 60_000; lease++) slot.readLeases.hold(lease % 100, lease, untilMs)
  for (let version = 0; version < 60_000; version++) slot.openPuts.set(2 ** 40 + version, untilMs)
  const mark = { name: 'default', version: 7, state: PersistedState.noRoom }
  for (const name of lost) slot.persisted.set({ bucket: 0, key: name }, mark)
  const value = metadata[0]?.value ?? ''
  for (let index = 0; index < 300; index++) await job.put(`m${index}`, 'x', { metadata: { n: value } })

  const ownMs = startOwnTime()
  const shares = planes.shares(nodes).map((share, index) => ({ ...share, weight: index }))
  await planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares })
  const there = () => nodes[1].node.jobs.get('j-1')
  await expect.poll(() => there()?.slots[0] !== undefined).toBe(true)
  expect(ownMs()).toBeLessThan(MOVED_MS_MAX)
  const moved = there()?.ownedSlot(0)
  expect(lost.every((name) => moved?.lostKeys?.get(0)?.has(keyString(name)))).toBe(true)
  expect([...(moved?.persisted ?? [])].length).toBe(12_000)
  expect(moved?.persisted.find({ bucket: 0, key: lost[9] as Buffer })).toEqual(mark)
  expect([...(moved?.readLeases ?? [])].length).toBe(60_000)
  expect(moved?.openPuts.size).toBe(60_000)
  await expect(job.get(lost[0]?.toString() ?? '')).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  expect((await job.stat('m299'))?.metadata).toEqual({ n: value })
})

test('a manifest of as many runs as are allowed moves with its slot; one of more is refused, and says what to do', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const ticket = await planes.createJob('j-1', [nodes[0]], { slots: 1 })
  const job = await open(ticket)
  const { token } = parseTicket(ticket)
  const pool = new CallerPool({ dial: dialTcp, runtime: systemRuntime, token: () => token })
  const caller = await pool.to(nodes[0].address)
  const deadline = () => ({ deadlineMs: clock.monotonicMs() + 10_000 })
  let sequence = 0
  const put = async (name: string, manifest: { count: number; chunkBytes: number }[]) => {
    const at = { epoch: 1, bucket: 0, key: Buffer.from(name), condition: 0, ifVersion: 0 }
    const { head } = await caller.call(dataOperations.putBegin, at, deadline())
    const rest = { lane: 0, sequence: ++sequence, ttlSeconds: 0, metadata: [], keptBucket: '' }
    const { version } = head
    await caller.call(dataOperations.putCommit, { ...at, ...rest, version, manifest }, deadline())
  }
  await put('runs', runs)
  // The largest object, in chunks of one length.
  await put('largest', [{ count: CHUNKS_MAX, chunkBytes: CHUNK_BYTES }])
  await expect(put('more', [...runs, { count: 1, chunkBytes: 3 }])).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('send chunks of one length'),
  })
  expect((await job.stat('largest'))?.bytes).toBe(OBJECT_BYTES_MAX)
  const shares = planes.shares(nodes).map((share, index) => ({ ...share, weight: index }))
  await planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares })
  await expect.poll(() => nodes[1].node.jobs.get('j-1')?.slots[0] !== undefined).toBe(true)
  const bytes = runs.reduce((sum, { chunkBytes }) => sum + chunkBytes, 0)
  expect((await job.stat('runs'))?.bytes).toBe(bytes)
  expect(await job.stat('more')).toBeNull()
  pool.close()
})
