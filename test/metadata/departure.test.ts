import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { open, Planes, type RunningNode } from '../fixture/planes.ts'

/** A job of m-1 on two nodes, and a second metadata server. */
async function startTwo() {
  const planes = await Planes.start()
  await planes.startMetadata(2)
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const ticket = await planes.createJob('j-1', nodes)
  return { planes, nodes, ticket, job: await open(ticket) }
}

const move = (planes: Planes, from: number, to: number) =>
  planes.ask(placementOperations.jobMove, { job: 'j-1', target: planes.metadataServer(to) }, from)

const serverOf = ({ node }: RunningNode) => node.requireJob('j-1').metadata

test('a job that was handed on is decided by the other server alone, with its buckets (I18)', async () => {
  const { planes, nodes, job } = await startTwo()
  await job.createBucket('out')
  await job.put('k', 'value', { bucket: 'out' })
  await move(planes, 1, 2)
  await expect.poll(() => nodes.map(serverOf)).toEqual(nodes.map(() => planes.metadataServer(2).address))
  const shares = planes.shares([nodes[0]])
  await expect(
    planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares }),
  ).rejects.toMatchObject({
    code: 'JOB_MOVED',
  })
  expect((await job.get('k', { bucket: 'out' })).toString()).toBe('value')
  await job.createBucket('more')
  expect(await job.buckets()).toEqual(['default', 'out', 'more'])
})

test('a ticket from before finds the job through two servers that had it', async () => {
  const { planes, ticket, job } = await startTwo()
  await planes.startMetadata(3)
  await job.put('k', 'value')
  await move(planes, 1, 2)
  await move(planes, 2, 3)
  const late = await open(ticket)
  await late.createBucket('late')
  expect((await late.get('k')).toString()).toBe('value')
})

test('a job goes to and fro, and a repeated move changes nothing', async () => {
  const { planes, nodes, job } = await startTwo()
  await move(planes, 1, 2)
  await move(planes, 1, 2)
  await move(planes, 2, 2)
  await move(planes, 2, 1)
  await job.createBucket('b')
  await expect.poll(() => nodes.map(serverOf)).toEqual(nodes.map(() => planes.metadataAddress))
  expect(nodes.map(({ node }) => node.requireJob('j-1').term)).toEqual([2, 2])
})

test('calls go on without a failure while a job is handed to and fro', async () => {
  const { planes, job } = await startTwo()
  const calls = [0, 0, 0, 0]
  const calling = calls.map(async (_, lane) => {
    for (let call = 0; call < 60; call++) {
      await job.put(`${lane}/${call % 20}`, `${call}`)
      expect((await job.get(`${lane}/${call % 20}`)).toString()).toBe(`${call}`)
      if (call % 10 === 0) {
        await job.createBucket(`b-${lane}-${call}`)
        await job.deleteBucket(`b-${lane}-${call}`)
      }
      calls[lane] = call + 1
    }
  })
  let moves = 0
  for (; Math.min(...calls) < 60; moves++) {
    await move(planes, 1 + (moves % 2), 2 - (moves % 2))
    await sleep(10)
  }
  await Promise.all(calling)
  expect(moves).toBeGreaterThan(2)
})

test('the absence of one server stops none of the jobs of another', async () => {
  const { planes, nodes, job } = await startTwo()
  await move(planes, 1, 2)
  await planes.stopMetadata(1)
  await job.put('k', 'value')
  await nodes[0].node.ownership.renewLease(planes.metadataAddress, 0, [])
  expect((await job.get('k')).toString()).toBe('value')
  const other = planes.shares([nodes[1]])
  await planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares: other }, 2)
})

test('a server that is not there takes no job: the one that has it goes on deciding, and hands it on later', async () => {
  const { planes, job } = await startTwo()
  await planes.stopMetadata(2)
  const moving = move(planes, 1, 2)
  await job.createBucket('meanwhile')
  await planes.startMetadata(2)
  await moving
  expect(await job.buckets()).toEqual(['default', 'meanwhile'])
  expect(await planes.ask(placementOperations.jobs, {}, 2)).toEqual([{ job: 'j-1' }])
})

test('both servers know after a restart where the job is', async () => {
  const { planes, nodes, ticket } = await startTwo()
  await move(planes, 1, 2)
  for (const number of [1, 2]) {
    await planes.stopMetadata(number)
    await planes.startMetadata(number)
  }
  const late = await open(ticket)
  await late.createBucket('late')
  await expect.poll(() => nodes.map(serverOf)).toEqual(nodes.map(() => planes.metadataServer(2).address))
})

test('a moved job ends where it is, and the server that had it forgets it then', async () => {
  const { planes, nodes, job } = await startTwo()
  await job.put('k', Buffer.alloc(10_000))
  await move(planes, 1, 2)
  for (const number of [1, 2]) await planes.ask(placementOperations.jobEnd, { job: 'j-1' }, number)
  for (const number of [1, 2]) expect(await planes.ask(placementOperations.jobs, {}, number)).toEqual([])
  for (const { node } of nodes) expect(node.jobs.size).toBe(0)
  await expect(job.createBucket('b')).rejects.toMatchObject({ code: 'JOB_ENDED' })
})

test('a node that dies while the job is with the second server loses its slots there', async () => {
  const { planes, nodes, job } = await startTwo()
  await move(planes, 1, 2)
  await nodes[0].stop()
  for (const number of [1, 2])
    await planes.ask(placementOperations.nodesDied, { nodes: [nodes[0].id] }, number)
  for (let key = 0; key < 20; key++) await job.put(`k/${key}`, 'value')
})
