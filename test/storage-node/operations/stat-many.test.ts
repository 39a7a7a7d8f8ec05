import { expect, test } from 'vitest'
import { PAYLOAD_BYTES_MAX } from '../../../protocol/limits.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { type DataReplies, dataOperations, StatResult } from '../../../protocol/operations/data-operations.ts'
import { Reader } from '../../../protocol/wire/reader.ts'
import { KEYS_PER_REQUEST } from '../../../storage-node/limits.ts'
import { open, Planes, type RunningNode } from '../../fixture/planes.ts'
import { frameBytes, RawConnection } from '../../fixture/raw-connection.ts'

/** What the node answers, which the SDK would hide. */
async function askNode(
  node: RunningNode,
  ticket: string,
  keys: readonly string[],
): Promise<{ head: DataReplies['statMany']; payload: Buffer }> {
  const connection = await RawConnection.open(node.address)
  connection.send(await connection.hello(parseTicket(ticket).token))
  const request = { epoch: 1, bucket: 0, keys: keys.map((key) => Buffer.from(key)) }
  connection.send(await frameBytes(2, dataOperations.statMany, request))
  await expect.poll(() => connection.frames.find(({ id }) => id === 2)?.kind).toBe(0)
  const { head, payload } = connection.frames.find(({ id }) => id === 2) ?? {}
  return {
    head: dataOperations.statMany.reply.read(new Reader(head)),
    payload: payload ?? Buffer.alloc(0),
  }
}

test('a node tells of each key whether it is here, missing, or in the slot of another node', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const ticket = await planes.createJob('j-1', nodes)
  const job = await open(ticket)
  const there = Array.from({ length: 100 }, (_, index) => `there/${index}`)
  const missing = there.map((_, index) => `missing/${index}`)
  await job.putMany(there.map((key) => ({ key, bytes: key, metadata: { key } })))
  const keys = [...there, ...missing]
  const [first, second] = await Promise.all(nodes.map((node) => askNode(node, ticket, keys)))
  for (const [at, key] of keys.entries()) {
    const results = [first?.head.results[at], second?.head.results[at]]
    const own = there.includes(key) ? StatResult.found : StatResult.absent
    expect([key, ...results.sort()]).toEqual([key, ...[own, StatResult.stale].sort()])
  }
  expect((first?.payload.length ?? 0) + (second?.payload.length ?? 0)).toBe(
    there.reduce((sum, key) => sum + 2 + 'key'.length + 2 + key.length, 0),
  )
})

test('I27: keys for whose metadata the answer has no room are to be asked again, and those behind them that need none are told', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const job = await open(ticket)
  const named = Array.from({ length: 200 }, (_, index) => `named/${index}`)
  await job.putMany(named.map((key) => ({ key, bytes: 'v', metadata: { name: 'm'.repeat(8_000) } })))
  await job.put('plain', 'v')
  const { head, payload } = await askNode(node, ticket, [...named, 'plain', 'missing'])
  const fitting = Math.floor(PAYLOAD_BYTES_MAX / (2 + 'name'.length + 2 + 8_000))
  expect([...head.results]).toEqual([
    ...named.map((_, at) => (at < fitting ? StatResult.found : StatResult.later)),
    StatResult.found,
    StatResult.absent,
  ])
  expect(payload.length).toBeLessThanOrEqual(PAYLOAD_BYTES_MAX)
  expect(Array.from(head.metadataBytes).reduce((sum, bytes) => sum + bytes, 0)).toBe(payload.length)
})

test('its keys count against the rate of their job as those of a listing do', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const job = await open(await planes.createJob('j-1', [node]))
  const keys = Array.from({ length: 1_000 }, (_, index) => `k/${index}`)
  await job.putMany(keys.map((key) => ({ key, bytes: 'v', metadata: { key } })))
  const counted = node.node.requireJob('j-1')
  let requests = 0
  const take = counted.takeUnmeteredRequests.bind(counted)
  // The rate is charged whenever the event loop has been polled.
  counted.takeUnmeteredRequests = () => {
    const taken = take()
    requests += taken
    return taken
  }
  const charged = () => requests + counted.requests
  const before = charged()
  await job.statMany(keys)
  expect(charged() - before).toBe(1 + keys.length / KEYS_PER_REQUEST)
})
