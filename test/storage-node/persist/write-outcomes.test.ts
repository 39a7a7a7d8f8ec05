import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import type { PersistedStore } from '../../../service/persisted/persisted-store.ts'
import { sweepLeases } from '../../../storage-node/gc/expiry-sweep.ts'
import { ObjectTable } from '../../../storage-node/job/object-table.ts'
import { open, Planes, type RunningNode } from '../../fixture/planes.ts'

const unknown = () => new MayflyError('OUTCOME_UNKNOWN', 'The store did not say')

async function start(nodeCount = 1) {
  const planes = await Planes.start()
  const nodes: RunningNode[] = []
  for (let count = 0; count < nodeCount; count++) nodes.push(await planes.startNode())
  const job = await open(await planes.createJob('j-a', nodes))
  const { persisted } = planes
  const original = {
    put: persisted.put,
    remove: persisted.remove,
    stat: persisted.stat,
    describe: persisted.describe,
  }
  /** Replaces a method of the store by a function that gets the original method. */
  const replace = <Name extends keyof typeof original>(
    name: Name,
    by: (as: PersistedStore[Name]) => PersistedStore[Name],
  ): void =>
    void Object.assign(persisted, { [name]: by(original[name].bind(persisted) as PersistedStore[Name]) })
  const restore = (): void => void Object.assign(persisted, original)
  const persistedText = async (key: string, bucket = 'default'): Promise<string | null> => {
    const name = { job: 'j-a', bucket, key }
    const found = await original.stat.call(persisted, name)
    return found === null ? null : String(await persisted.get(name, { offset: 0, length: found.bytes }))
  }
  /** The only node dies, and all its slots go to a new one. */
  const renew = async (): Promise<RunningNode> => {
    const next = await planes.startNode()
    for (const node of nodes) await node.stop()
    await planes.ask(placementOperations.nodesDied, { nodes: nodes.map(({ id }) => id) })
    const shares = planes.shares([next])
    await planes.ask(placementOperations.jobShares, { job: 'j-a', readsPerThousand: null, shares })
    return next
  }
  return { planes, nodes, job, replace, restore, persistedText, renew }
}

const away = () => async () => await Promise.reject(new MayflyError('UNAVAILABLE', 'The store is away'))

/** Carries the change out and loses the answer. */
const losesAnswer =
  <Of extends unknown[], Result>(change: (...of: Of) => Promise<Result>) =>
  async (...of: Of): Promise<Result> => {
    await change(...of)
    throw unknown()
  }

test('I16: a put, an overwrite and a delete whose answers the store has lost are looked up, and count', async () => {
  const { job, replace, restore, persistedText } = await start()
  replace('put', losesAnswer)
  await job.put('k', 'first', { persist: true })
  await job.put('k', 'second', { persist: true })
  expect([String(await job.get('k')), await persistedText('k')]).toEqual(['second', 'second'])
  restore()
  replace('remove', losesAnswer)
  expect(await job.delete('k')).toBe(true)
  expect([await job.exists('k'), await persistedText('k')]).toEqual([false, null])
})

test('I16: what a put of unknown outcome has left in the store goes with the next change of its key', async () => {
  const { job, replace, restore, persistedText, renew } = await start()
  for (const change of ['delete', 'put', 'consume'] as const) {
    replace('put', losesAnswer)
    replace('stat', away)
    replace('remove', away)
    await expect(job.put(change, 'unknown', { persist: true })).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
    })
    expect(await persistedText(change)).toBe('unknown')
    restore()
    if (change === 'delete') expect(await job.delete(change)).toBe(false)
    if (change === 'put') await job.put(change, 'plain')
    if (change === 'consume') {
      await job.put(change, 'again', { persist: true })
      await job.get(change, { consume: true })
    }
    expect(await persistedText(change)).toBeNull()
  }
  await renew()
  for (const key of ['delete', 'put', 'consume'])
    await expect(job.get(key)).rejects.toMatchObject({ code: 'OBJECT_LOST' })
})

test('what a put of unknown outcome has left is removed when the store answers again, though nobody asks for its key', async () => {
  const { nodes, job, replace, restore, persistedText } = await start()
  replace('put', losesAnswer)
  replace('stat', away)
  replace('remove', away)
  await expect(job.put('k', 'unknown', { persist: true })).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  restore()
  await expect.poll(() => persistedText('k')).toBeNull()
  await expect
    .poll(() =>
      nodes[0]?.node.requireJob('j-a').owned.touched.every((slot) => slot?.persisted.empty !== false),
    )
    .toBe(true)
})

test('I16: an overwrite for which the node finds no memory at the end replaces the object all the same', async () => {
  const { job, persistedText, renew } = await start()
  await job.put('k', 'first', { persist: true })
  const { store } = ObjectTable.prototype
  Object.assign(ObjectTable.prototype, {
    store: () => {
      throw new MayflyError('CAPACITY_EXCEEDED', 'The arena is full')
    },
  })
  const version = await job.put('k', 'second', { persist: true })
  Object.assign(ObjectTable.prototype, { store })
  expect([String(await job.get('k')), await persistedText('k')]).toEqual(['second', 'second'])
  expect(await job.stat('k')).toMatchObject({ persist: true, version: version.version })
  await renew()
  expect(String(await job.get('k'))).toBe('second')
})

test('I16: an overwrite that the store refuses leaves the object that was there in both places', async () => {
  const { job, replace, restore, persistedText, renew } = await start()
  await job.put('k', 'first', { persist: true })
  replace('put', () => async () => await Promise.reject(new MayflyError('FORBIDDEN', 'The key was rotated')))
  await expect(job.put('k', 'second', { persist: true })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(job.put('new', 'x', { persist: true })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  restore()
  expect([String(await job.get('k')), await persistedText('k'), await persistedText('new')]).toEqual([
    'first',
    'first',
    null,
  ])
  await renew()
  expect(String(await job.get('k'))).toBe('first')
})

test('I16: a bucket that is deleted and made again under its name keeps its new object', async () => {
  const { job, replace, persistedText, renew } = await start()
  await job.createBucket('out')
  await job.put('k', 'old', { bucket: 'out', persist: true })
  let goOn = (): void => undefined
  const isPutAnew = new Promise<void>((resolve) => {
    goOn = resolve
  })
  replace('remove', (remove) => async (...of) => {
    await isPutAnew
    return await remove(...of)
  })
  const deleting = job.deleteBucket('out')
  await expect.poll(() => job.buckets()).toEqual(['default'])
  await job.createBucket('out')
  await job.put('k', 'new', { bucket: 'out', persist: true })
  goOn()
  await deleting
  expect(await persistedText('k', 'out')).toBe('new')
  await renew()
  expect(String(await job.get('k', { bucket: 'out' }))).toBe('new')
})

test('I25: bytes that only the store has are those of the version that was asked for, whatever has come to lie there', async () => {
  const { planes, job, renew } = await start()
  await job.put('k', 'first', { persist: true })
  await renew()
  const { version = 0 } = (await job.stat('k')) ?? {}
  // A put of the dead node arrives late.
  const name = { job: 'j-a', bucket: 'default', key: 'k' }
  const object = {
    bytes: 4,
    expiresAtMs: 0,
    about: Buffer.alloc(0),
    stamp: { bucketId: 0, version: 2 ** 33 - 1 },
  }
  await planes.persisted.put(
    name,
    object,
    (async function* () {
      yield Buffer.from('late')
    })(),
  )
  expect(String(await job.get('k'))).toBe('late')
  expect((await job.stat('k'))?.version).toBeGreaterThan(version)
})

test('marks of what lies in the store move with their slot, also where the slot has no object', async () => {
  const { planes, nodes, job, replace, restore, persistedText } = await start()
  replace('put', losesAnswer)
  replace('stat', away)
  replace('remove', away)
  await expect(job.put('k', 'unknown', { persist: true })).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  const target = await planes.startNode()
  const shares = planes.shares([target])
  await planes.ask(placementOperations.jobShares, { job: 'j-a', readsPerThousand: null, shares })
  await expect.poll(() => nodes[0]?.node.requireJob('j-a').hasSlots).toBe(false)
  expect(await persistedText('k')).toBe('unknown')
  restore()
  await job.delete('k')
  expect(await persistedText('k')).toBeNull()
})

test('after a death each node looks only at what it has lost, and all together at each object once', async () => {
  const { planes, nodes, job, replace } = await start(3)
  const keys = Array.from({ length: 600 }, (_, index) => `${index}`)
  for (let at = 0; at < keys.length; at += 50)
    await Promise.all(keys.slice(at, at + 50).map((key) => job.put(key, key, { persist: true })))
  const [dead] = nodes as [RunningNode]
  const owned = dead.node
    .requireJob('j-a')
    .owned.touched.flatMap((slot) => (slot === undefined ? [] : [...slot.persisted]))
  let looks = 0
  let most = 0
  let now = 0
  replace('describe', (describe) => async (name) => {
    looks++
    most = Math.max(most, ++now)
    const found = await describe(name)
    now--
    return found
  })
  await dead.stop()
  await planes.ask(placementOperations.nodesDied, { nodes: [dead.id] })
  for (const key of keys) expect(String(await job.get(key))).toBe(key)
  expect(looks).toBe(owned.length)
  expect(most).toBeGreaterThan(16)
})

test('objects whose time is over leave the store many at a time, and leases wait for none of them', async () => {
  const { nodes, job, replace, persistedText } = await start()
  const keys = Array.from({ length: 300 }, (_, index) => `${index}`)
  let goOn = (): void => undefined
  const isOpen = new Promise<void>((resolve) => {
    goOn = resolve
  })
  let now = 0
  let most = 0
  let arePut = false
  replace('remove', (remove) => async (...of) => {
    if (!arePut) throw new MayflyError('UNAVAILABLE', 'The store is away')
    most = Math.max(most, ++now)
    await isOpen
    const existed = await remove(...of)
    now--
    return existed
  })
  for (let at = 0; at < keys.length; at += 50)
    await Promise.all(
      keys.slice(at, at + 50).map((key) => job.put(key, key, { persist: true, ttlSeconds: 1 })),
    )
  arePut = true
  await expect.poll(() => most).toBeGreaterThan(16)
  const { node } = nodes[0] as RunningNode
  const slot = node.requireJob('j-a').ownedSlot(0)
  slot.openPuts.set(7, 0)
  await expect.poll(() => slot.openPuts.size).toBe(0)
  sweepLeases(node, systemRuntime.clock)
  await job.put('other', 'x')
  goOn()
  await expect
    .poll(() => node.requireJob('j-a').owned.touched.every((each) => each?.persisted.empty !== false), {
      timeout: 30_000,
    })
    .toBe(true)
  expect(await persistedText('7')).toBeNull()
})
