import { expect, test } from 'vitest'
import { ADDRESS_BYTES_MAX, JOBS_MAX } from '../../../controller/limits.ts'
import {
  BUCKET_NAME_BYTES_MAX,
  BUCKETS_MAX,
  CHUNK_BYTES,
  CHUNKS_MAX,
  HEAD_BYTES_MAX,
  JOB_NODES_MAX,
  KEY_BYTES_MAX,
  LANES_MAX,
  MANIFEST_RUNS_MAX,
  MANY_KEYS_MAX,
  METADATA_BYTES_MAX,
  MOVE_SLOTS_MAX,
  MOVES_MAX,
  OBJECT_BYTES_MAX,
  SLOTS_MAX,
} from '../../../protocol/limits.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { metadataOperations } from '../../../protocol/operations/control-operations.ts'
import { dataOperations } from '../../../protocol/operations/data-operations.ts'
import {
  heartbeatOperations,
  nodeOperations,
  peerOperations,
  placementOperations,
} from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { type Codec, encode } from '../../../protocol/wire/codec.ts'
import {
  HEARTBEAT_JOBS_MAX,
  LIST_PAGE_BYTES_MAX,
  METADATA_NAMES_MAX,
  PULL_ITEMS_MAX,
  RECLAIM_BATCH,
} from '../../../storage-node/limits.ts'
import { keyString } from '../../../storage-node/slot/key-string.ts'
import { PersistedState } from '../../../storage-node/slot/persisted-names.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { budgetFields } from '../support/requests.ts'

const { clock } = systemRuntime
const key = Buffer.alloc(KEY_BYTES_MAX, 'k')
const node = { id: 'n-abcdefghijklm', address: 'a'.repeat(ADDRESS_BYTES_MAX) }
const jobId = 'j-abcdefghijklmnopqrst'

function fill<Item>(count: number, item: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => item(index))
}

function bytesOf<Value>(codec: Codec<Value>, value: Value): number {
  return encode(codec, value).length
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

/** Messages that grow with data and are not paged, each filled to its bounds. */
const full: [string, number][] = [
  [
    'own',
    bytesOf(nodeOperations.own.request, {
      ...speaker,
      revision: 1,
      slots: SLOTS_MAX,
      ...budget,
      buckets: { next: 1, living: fill(BUCKETS_MAX, (id) => ({ first: 2 * id, count: 1 })) },
      owned,
    }),
  ],
  ['placement', bytesOf(metadataOperations.placement.reply, placement)],
  ['jobCreate', bytesOf(placementOperations.jobCreate.request, { ...shares, slots: SLOTS_MAX })],
  ['jobShares', bytesOf(placementOperations.jobShares.request, shares)],
  [
    'jobs',
    bytesOf(
      placementOperations.jobs.reply,
      fill(JOBS_MAX, () => ({ job: jobId })),
    ),
  ],
  [
    'nodesDied',
    bytesOf(placementOperations.nodesDied.request, { nodes: fill(JOB_NODES_MAX, () => node.id) }),
  ],
  [
    'buckets',
    bytesOf(
      metadataOperations.buckets.reply,
      fill(BUCKETS_MAX, (id) => ({ id, name: 'b'.repeat(BUCKET_NAME_BYTES_MAX) })),
    ),
  ],
  [
    'heartbeat',
    bytesOf(heartbeatOperations.heartbeat.request, {
      node: node.id,
      jobs: fill(HEARTBEAT_JOBS_MAX, () => jobId),
    }),
  ],
  [
    'heartbeat, answered',
    bytesOf(heartbeatOperations.heartbeat.reply, {
      leaseMs: 1,
      jobs: [],
      moved: fill(HEARTBEAT_JOBS_MAX, () => ({ job: jobId, term: 1 })),
    }),
  ],
  [
    'versionsAlive',
    bytesOf(peerOperations.versionsAlive.request, {
      job: jobId,
      versions: fill(RECLAIM_BATCH, () => ({ bucket: 1, key, version: 1 })),
    }),
  ],
  [
    'pull',
    bytesOf(peerOperations.pull.request, {
      job: jobId,
      slot: 1,
      epoch: 1,
      items: fill(PULL_ITEMS_MAX, () => ({ bucket: 1, key, version: 1, chunk: 1, offset: 1 })),
    }),
  ],
  [
    'get, of a manifest',
    bytesOf(dataOperations.get.reply, {
      version: 1,
      kind: 1,
      bytes: 1,
      checksum: 1,
      consumed: false,
      manifest: runs,
      lease: 1,
    }),
  ],
  [
    'stat',
    bytesOf(dataOperations.stat.reply, {
      bytes: 1,
      version: 1,
      tier: 0,
      expiresAtMs: 1,
      metadata: manyNames,
      persist: false,
    }),
  ],
  [
    'putCommit',
    bytesOf(dataOperations.putCommit.request, {
      epoch: 1,
      bucket: 1,
      key,
      lane: 1,
      sequence: 1,
      condition: 0,
      ifVersion: 0,
      version: 1,
      ttlSeconds: 1,
      manifest: runs,
      metadata,
      keptBucket: 'b',
    }),
  ],
  ['list, answered', LIST_PAGE_BYTES_MAX + 2 * KEY_BYTES_MAX],
  ['getMany', bytesOf(dataOperations.getMany.request, { ...many, checksums: true })],
  [
    'getMany, answered',
    bytesOf(dataOperations.getMany.reply, {
      lengths: fill(MANY_KEYS_MAX, () => 1),
      checksums: fill(MANY_KEYS_MAX, () => 1),
    }),
  ],
  ['waitMany', bytesOf(dataOperations.waitMany.request, { ...many, waitMs: 1 })],
  [
    'deleteMany',
    bytesOf(dataOperations.deleteMany.request, {
      epoch: 1,
      bucket: 1,
      lane: 1,
      sequence: 1,
      keys: fill(MANY_KEYS_MAX, () => key),
    }),
  ],
  [
    'settle',
    bytesOf(dataOperations.settle.request, {
      lanes: fill(LANES_MAX, (lane) => ({ lane, sequence: 16 })),
    }),
  ],
]

test.each(full)('I27: %s fits the head of a frame when it is filled to its bounds', (_, bytes) => {
  expect(bytes).toBeLessThanOrEqual(HEAD_BYTES_MAX)
})

test('I27: a slot whose every list is far over one message moves, and its new owner knows all of it', async () => {
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

  const shares = planes.shares(nodes).map((share, index) => ({ ...share, weight: index }))
  await planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares })
  const there = () => nodes[1].node.jobs.get('j-1')
  await expect.poll(() => there()?.slots[0] !== undefined).toBe(true)
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
