import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { MANY_KEYS_MAX } from '../../../protocol/limits.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { ANY_VERSION, dataOperations } from '../../../protocol/operations/data-operations.ts'
import {
  JOB_UNDER_WAY_BYTES_MAX,
  JOB_UNDER_WAY_BYTES_MIN,
  NODE_UNDER_WAY_BYTES_MAX,
  UNDER_WAY_PARKED_SHARE,
} from '../../../storage-node/budget/limits.ts'
import { NodeUnderWay, UnderWay } from '../../../storage-node/budget/under-way.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { frameBytes, RawConnection } from '../../fixture/raw-connection.ts'

const MIB = 1024 * 1024
const PARKED_BYTES_MAX = JOB_UNDER_WAY_BYTES_MAX * UNDER_WAY_PARKED_SHARE
/** The process also contains the caller, and memory of V8 and the network that is not counted. */
const PROCESS_BYTES_MAX = 5 * JOB_UNDER_WAY_BYTES_MAX

test('no job takes what is kept for others of what may be under way, and what is let go of is there again', async () => {
  const node = new NodeUnderWay()
  const greedy = Array.from({ length: 8 }, () => new UnderWay(node))
  const releases = greedy.flatMap((job) => {
    const parked: (() => void)[] = []
    try {
      for (;;) parked.push(job.park(MIB))
    } catch {
      return parked
    }
  })
  expect(greedy[0]?.bytes).toBe(PARKED_BYTES_MAX)
  expect(node.bytes).toBeLessThanOrEqual(NODE_UNDER_WAY_BYTES_MAX + 8 * JOB_UNDER_WAY_BYTES_MIN)
  const late = new UnderWay(node)
  late.park(MIB)
  const answers = Array.from({ length: 6 }, () => late.answer(null, MIB, async () => ({ head: {} })))
  // Waiting reads continue when anything is released, even by another job.
  for (const release of releases) release()
  expect(await Promise.all(answers)).toHaveLength(6)
  expect(node.bytes).toBe(7 * MIB)
})

test('I26: calls that wait for keys cost their job a bounded amount, and another job of the node waits as ever', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-a', [node])
  const other = await open(await planes.createJob('j-b', [node]))
  const { token, placement } = parseTicket(ticket)
  const { epoch } = placement
  const connection = await RawConnection.open(node.address)
  connection.send(await connection.hello(token))
  const before = process.memoryUsage().rss
  const keys = Array.from({ length: MANY_KEYS_MAX }, (_, at) => Buffer.alloc(900, `${at} `))
  const rest = { version: ANY_VERSION, offset: 0, length: 0, lane: 0, sequence: 0, consume: false }
  const waitMany = { epoch, bucket: 0, waitMs: 60_000, keys }
  for (let id = 2; id < 100; id++) {
    connection.send(await frameBytes(id, dataOperations.waitMany, waitMany))
    await sleep(1)
  }
  for (let id = 100; id < 20_000; id++) {
    const get = { epoch, bucket: 0, key: Buffer.from(`k/${id}`), waitMs: 60_000, ...rest }
    connection.send(await frameBytes(id, dataOperations.get, get))
  }
  const job = node.node.jobs.get('j-a')
  await expect.poll(() => job?.underWay.bytes).toBeGreaterThan(PARKED_BYTES_MAX - 2 * MIB)
  expect(job?.underWay.bytes).toBeLessThanOrEqual(PARKED_BYTES_MAX)
  expect(process.memoryUsage().rss - before).toBeLessThan(PROCESS_BYTES_MAX)
  const waited = other.get('k', { waitSeconds: 10 })
  await other.put('k', Buffer.from('here'))
  expect((await waited).toString()).toBe('here')
  connection.vanish()
  await expect.poll(() => job?.underWay.bytes).toBe(0)
})
