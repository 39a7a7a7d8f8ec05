import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Job } from '../../../client/job.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { ANY_VERSION, dataOperations } from '../../../protocol/operations/data-operations.ts'
import { SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import type { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { JOB_UNDER_WAY_BYTES_MAX } from '../../../storage-node/budget/limits.ts'
import { Puller } from '../../../storage-node/handoff/puller.ts'
import { receiveIndex, takeOver } from '../../../storage-node/handoff/target.ts'
import { RAM } from '../../../storage-node/tiers/job-tiers.ts'
import { TIER_READS_BYTES_MAX } from '../../../storage-node/tiers/limits.ts'
import { background } from '../../fixture/background.ts'
import { startOwnTime } from '../../fixture/own-time.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { frameBytes, RawConnection } from '../../fixture/raw-connection.ts'
import { SlowTier } from '../support/slow-tier.ts'
import { indexPage, newSpace } from '../support/space.ts'
import { spaceOf } from '../support/spilling.ts'

const MIB = 1024 * 1024
const OBJECT_BYTES = 900_000

const slowJob = { capacityBytes: 8 * MIB, s3Bytes: 1024 * MIB, bytesPerSecond: 1e9 }

async function startSlow(readMs: number) {
  const planes = await Planes.start()
  const tier = new SlowTier(readMs)
  const node = await planes.startNode(256 * MIB, 1e9, { s3: tier })
  const ticket = await planes.createJob('j-a', [node], slowJob)
  return { planes, tier, node, ticket, job: await open(ticket) }
}

/** Puts objects of which most end below RAM. */
async function putMany(job: Job, count: number): Promise<Buffer> {
  const bytes = randomBytes(OBJECT_BYTES)
  for (let index = 0; index < count; index++) await job.put(`k/${index}`, bytes)
  return bytes
}

/** A peer that requests all objects and reads nothing. */
async function askAndStop(to: { address: string; ticket: string }, objects: number): Promise<RawConnection> {
  const { token, placement } = parseTicket(to.ticket)
  const connection = await RawConnection.open(to.address)
  connection.send(await connection.hello(token))
  connection.stop()
  const rest = { waitMs: 0, version: ANY_VERSION, offset: 0, length: 0, lane: 0, sequence: 0, consume: false }
  for (let index = 0; index < objects; index++) {
    const get = { epoch: placement.epoch, bucket: 0, key: Buffer.from(`k/${index}`), ...rest }
    connection.send(await frameBytes(2 + index, dataOperations.get, get))
  }
  return connection
}

test('a herd that gets one large object from below RAM reads each of its chunks about once', async () => {
  const { tier, ticket, job } = await startSlow(100)
  const bytes = randomBytes(24 * MIB)
  await job.put('large', bytes)
  await sleep(500)
  const readBefore = tier.reads
  const clients = await Promise.all(Array.from({ length: 16 }, () => open(ticket)))
  const got = await Promise.all(clients.map((client) => client.get('large')))
  expect(got.every((each) => each.equals(bytes))).toBe(true)
  expect(tier.reads - readBefore).toBeLessThanOrEqual(1.5 * 24)
})

test('a herd that gets one small object from below RAM reads it once', async () => {
  const { tier, ticket, job } = await startSlow(100)
  const bytes = await putMany(job, 20)
  await sleep(300)
  const readBefore = tier.reads
  const clients = await Promise.all(Array.from({ length: 32 }, () => open(ticket)))
  const got = await Promise.all(clients.map((client) => client.get('k/0')))
  expect(got.every((each) => each.equals(bytes))).toBe(true)
  expect(tier.reads - readBefore).toBe(1)
})

test('I26: a client that asks for much below RAM and stops reading costs a bounded amount, and its job goes on', async () => {
  const { tier, node, ticket, job } = await startSlow(1)
  const objects = 200
  const bytes = await putMany(job, objects)
  const readBefore = tier.readBytes
  const connection = await askAndStop({ address: node.address, ticket }, objects)
  await sleep(1_500)
  // What the network has accepted, and what waits for it.
  expect(tier.readBytes - readBefore).toBeLessThan(24 * MIB)
  expect(spaceOf(node).underWay.bytes).toBeLessThan(8 * MIB)
  const ownMs = startOwnTime()
  expect((await job.get('k/1')).equals(bytes)).toBe(true)
  expect(ownMs()).toBeLessThan(1_000)
  connection.vanish()
  await expect.poll(() => spaceOf(node).underWay.bytes).toBe(0)
})

test('a hundred clients that stop reading cost no more than their job may have under way', async () => {
  const { tier, node, ticket, job } = await startSlow(1)
  const objects = 40
  await putMany(job, objects)
  const readBefore = tier.readBytes
  const connections = await Promise.all(
    Array.from({ length: 100 }, () => askAndStop({ address: node.address, ticket }, objects)),
  )
  let most = 0
  for (const endMs = performance.now() + 2_000; performance.now() < endMs; await sleep(10))
    most = Math.max(most, spaceOf(node).underWay.bytes)
  expect(most).toBeLessThanOrEqual(JOB_UNDER_WAY_BYTES_MAX)
  // The network accepts some of the bytes before they are counted here.
  expect(most).toBeGreaterThan(JOB_UNDER_WAY_BYTES_MAX / 4)
  expect(tier.readBytes - readBefore).toBeGreaterThan(0)
  for (const connection of connections) connection.vanish()
  await expect.poll(() => spaceOf(node).underWay.bytes).toBe(0)
})

test('reads of a tier that are under way, for however many jobs and clients, are of a bounded number of bytes', async () => {
  const { tier, planes, node, ticket } = await startSlow(1_000)
  const tickets = [ticket, await planes.createJob('j-b', [node], slowJob)]
  const objects = 60
  const perJob = await Promise.all(
    tickets.map(async (each) => {
      const clients = await Promise.all(Array.from({ length: 10 }, () => open(each)))
      return { clients, bytes: await putMany(clients[0] as Job, objects) }
    }),
  )
  const underWay = (): number =>
    ['j-a', 'j-b'].reduce((sum, id) => sum + node.node.requireJob(id).underWay.bytes, 0)
  let most = 0
  const watching = setInterval(() => {
    most = Math.max(most, underWay())
  }, 5)
  // Each client asks for other objects, so that no two share a read.
  const asking = perJob.flatMap(({ clients, bytes }) =>
    Array.from({ length: objects }, async (_, index) => {
      const client = clients[index % clients.length] as Job
      expect((await client.get(`k/${index}`)).equals(bytes)).toBe(true)
    }),
  )
  await Promise.all(asking).finally(() => clearInterval(watching))
  // The jobs may have more under way than the tier reads at a time, and had: the others waited for their turn.
  expect(most).toBeGreaterThan(1.5 * TIER_READS_BYTES_MAX)
  expect(tier.underWayBytesMost).toBeGreaterThan(TIER_READS_BYTES_MAX - OBJECT_BYTES)
  expect(tier.underWayBytesMost).toBeLessThanOrEqual(TIER_READS_BYTES_MAX)
  expect(tier.underWayBytes).toBe(0)
})

test('a herd that gets an entry which a handoff has not brought yet pulls it once', async () => {
  const space = newSpace()
  const { clock } = systemRuntime
  receiveIndex(space, indexPage(2, ['k']), clock)
  takeOver(space, { index: 0, epoch: 2, lost: false, origin: SlotOrigin.handedOver, source: 'n-1' })
  const slot = space.slots[0]
  let pulls = 0
  const call = async () => {
    pulls++
    await sleep(50)
    return { head: { bytes: [5] }, payload: Buffer.from('hello') }
  }
  const pool = { to: async () => ({ call }) } as unknown as CallerPool
  const puller = new Puller({ pool, runtime: systemRuntime, background })
  const item = { bucket: 0, key: 'k', version: 7, bytes: 5, tier: RAM, chunk: null }
  await Promise.all(Array.from({ length: 64 }, () => puller.fetch(space, 0, item)))
  expect(pulls).toBe(1)
  expect(slot?.isComplete).toBe(true)
})
