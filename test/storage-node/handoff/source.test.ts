import { expect, test } from 'vitest'
import { DEFAULT_BUCKET_ID } from '../../../protocol/model/keys.ts'
import { NO_CHUNK } from '../../../protocol/operations/plane-operations.ts'
import { open, Planes } from '../../fixture/planes.ts'

test('I3: the index of a released slot goes to its target, and not to another process at the address of it', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const job = await open(await planes.createJob('j-1', nodes, { slots: 2 }))
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await job.put(key, key)
  const from = nodes[0].node.requireJob('j-1')
  const to = nodes[1].node.requireJob('j-1')
  const slot = from.slots.findIndex((owned) => owned !== undefined)
  const usedBytes = to.usedBytes
  const release = (id: string) => {
    const target = { id, address: nodes[1].address }
    return nodes[0].node.source.release(from, {
      job: 'j-1',
      metadata: '',
      generation: 1,
      term: 0,
      epoch: 9,
      slots: [slot],
      target,
    })
  }
  await expect(release('n-dead')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(to.arriving.size).toBe(0)
  expect(to.usedBytes).toBe(usedBytes)
  await release(nodes[1].id)
  expect(to.arriving.get(slot)).toMatchObject({ epoch: 9, complete: true })
})

test('I14: what a source has freed with its bucket is not said to be missing, which would be a loss', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const job = await open(await planes.createJob('j-1', nodes, { slots: 2 }))
  await job.createBucket('b')
  const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`)
  for (const key of keys) await job.put(key, key, { bucket: 'b' })
  const { node } = nodes[0]
  const from = node.requireJob('j-1')
  const slot = from.slots.findIndex((owned) => owned !== undefined && owned.objects.size > 0)
  const target = { id: nodes[1].id, address: nodes[1].address }
  const moved = { job: 'j-1', metadata: '', generation: 1, term: 0, epoch: 9, slots: [slot], target }
  await node.source.release(from, moved)
  const items: { bucket: number; key: Buffer; version: number; chunk: number; offset: number }[] = []
  from.released.get(slot)?.slot.objects.scan(0, 1_000, ({ bucket, key, version }) => {
    items.push({ bucket, key: Buffer.from(key), version, chunk: NO_CHUNK, offset: 0 })
  })
  const pull = { job: 'j-1', slot, epoch: 9, items }
  expect((await node.source.pull(from, pull)).head.bytes).toEqual(items.map(({ key }) => key.length))
  from.applyBuckets({ revision: 99, buckets: { next: 2, living: [{ first: DEFAULT_BUCKET_ID, count: 1 }] } })
  const refused = () => node.source.pull(from, pull)
  expect(refused).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }))
  await from.bucketsRemoved
  expect(from.released.get(slot)?.slot.objects.size).toBe(0)
  expect(refused).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }))
})
