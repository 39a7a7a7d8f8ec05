import { expect, test } from 'vitest'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { open, Planes } from '../fixture/planes.ts'

test('a metadata server at another address is taken by its nodes, and reached with tickets that name the old one', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()]
  const ticket = await planes.createJob('j-1', nodes)
  const before = planes.metadataAddress
  const old = await open(ticket)
  await old.put('key', Buffer.from('value'))
  await planes.moveMetadata()
  expect(planes.metadataAddress).not.toBe(before)
  await old.createBucket('later')
  await old.put('key', Buffer.from('in a bucket'), { bucket: 'later' })
  const late = await open(ticket)
  expect((await late.get('key')).toString()).toBe('value')
  expect((await late.get('key', { bucket: 'later' })).toString()).toBe('in a bucket')
  for (const { node } of nodes)
    await expect.poll(() => [...node.ownership.metadataServers]).toEqual([planes.metadataAddress])
})

test('slots that move after a metadata server has changed its address are found with an old ticket', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()]
  const [first] = nodes
  if (first === undefined) throw new Error('there is a node')
  const ticket = await planes.createJob('j-1', [first])
  const late = await open(ticket)
  const early = await open(ticket)
  for (let index = 0; index < 50; index++) await early.put(`key-${index}`, Buffer.from(String(index)))
  await planes.moveMetadata()
  await planes.ask(placementOperations.jobShares, {
    ...{ job: 'j-1', readsPerThousand: null },
    shares: planes.shares(nodes),
  })
  for (let index = 0; index < 50; index++)
    expect((await late.get(`key-${index}`)).toString()).toBe(String(index))
})
