import { expect, test } from 'vitest'
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
