import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { SqlitePlacementStore } from '../../metadata/store/sqlite-placement-store.ts'
import { MayflyError } from '../../protocol/errors.ts'
import { EPOCH_MAX } from '../../protocol/limits.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { open, Planes, type RunningNode } from '../fixture/planes.ts'

const failures: readonly (readonly [string, unknown])[] = [
  ['SQLITE_IOERR', new Database.SqliteError('disk I/O error', 'SQLITE_IOERR')],
  ['UNAVAILABLE, as for a full disk', new MayflyError('UNAVAILABLE', 'The disk is full')],
  ['INTERNAL', new MayflyError('INTERNAL', 'so says the store')],
  ['a bug', new TypeError('x is not a function')],
]

async function start() {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const job = await open(await planes.createJob('j-1', nodes.slice(0, 1)))
  const other = await open(await planes.createJob('j-2', nodes.slice(1)))
  for (let index = 0; index < 50; index++) await job.put(`k/${index}`, `value ${index}`)
  await other.put('k', 'value')
  return { planes, nodes, job, other }
}

function slotsOf({ node }: RunningNode, job: string): number {
  const owned = node.jobs.get(job)?.owned
  return Array.from({ length: owned?.count ?? 0 }).filter((_, slot) => owned?.owns(slot)).length
}

test.each(failures)(
  'I21: a store that fails with %s during moves and a death ends nothing, and all goes on when it works again',
  async (_name, thrown) => {
    const { planes, nodes, job, other } = await start()
    const [first, second] = nodes
    const third = await planes.startNode()
    const toSecond = planes.shares([second])
    await planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares: toSecond })
    planes.storeFailure = { thrown }
    // A request that needs a write fails, without the driver's message; every other request is answered.
    const create = planes.ask(placementOperations.jobCreate, {
      job: 'j-3',
      slots: 8,
      readsPerThousand: null,
      shares: toSecond,
    })
    const refusal = await create.catch((error: unknown) => error)
    expect(refusal).toMatchObject({
      code: thrown instanceof MayflyError && thrown.code === 'UNAVAILABLE' ? 'UNAVAILABLE' : 'INTERNAL',
    })
    expect((refusal as MayflyError).reason).not.toMatch(/I\/O|function|store/)
    const died = planes.ask(placementOperations.nodesDied, { nodes: [third.id] }).catch(() => 'refused')
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(await died).toBe('refused')
    const asked = { job: 'j-2', known: 0, slot: 0xffff }
    expect((await planes.ask(metadataOperations.placement, asked)).nodes).toHaveLength(1)
    await other.put('k', 'another')
    expect((await other.get('k')).toString()).toBe('another')
    planes.storeFailure = null
    await planes.ask(placementOperations.nodesDied, { nodes: [third.id] })
    await expect.poll(() => slotsOf(second, 'j-1')).toBe(64)
    expect(slotsOf(first, 'j-1')).toBe(0)
    for (let index = 0; index < 50; index++)
      expect((await job.get(`k/${index}`)).toString()).toBe(`value ${index}`)
  },
)

test('I21: a job that has no epoch left keeps no other job of a dead node from its new owner', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  await planes.createJob('j-1', nodes)
  const other = await open(await planes.createJob('j-2', nodes))
  await planes.stopMetadata()
  const store = new SqlitePlacementStore(planes.storePath())
  for (const record of await store.jobs())
    if (record.id === 'j-1') await store.save({ ...record, epoch: EPOCH_MAX })
  await store.close()
  await planes.startMetadata()
  await planes
    .ask(placementOperations.jobShares, {
      job: 'j-1',
      readsPerThousand: null,
      shares: planes.shares([nodes[0]]),
    })
    .catch(() => 'it cannot move')
  await nodes[1].stop()
  await planes.ask(placementOperations.nodesDied, { nodes: [nodes[1].id] })
  await expect.poll(() => slotsOf(nodes[0], 'j-2')).toBe(64)
  for (let index = 0; index < 50; index++) await other.put(`k/${index}`, 'v')
  expect(slotsOf(nodes[0], 'j-1')).toBe(32)
})
