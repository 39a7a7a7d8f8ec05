import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { errorTable } from '../../../protocol/errors.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { dataOperations } from '../../../protocol/operations/data-operations.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { frameBytes, RawConnection } from '../../fixture/raw-connection.ts'
import { consumeFields, putFields } from '../support/requests.ts'

async function startOne() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const connection = await RawConnection.open(node.address)
  connection.send(await connection.hello(parseTicket(ticket).token))
  await expect.poll(() => connection.frames.length).toBe(1)
  const waits = () =>
    [...node.node.jobs.values()].flatMap(({ slots }) =>
      slots.flatMap((slot) => [...(slot?.waits?.keys() ?? [])]),
    ).length
  return { connection, waits, job: await open(ticket) }
}

const named = { epoch: 1, bucket: 0, lane: 0, sequence: 1 }
const parked = (id: number, key: string, sequence = 1) =>
  frameBytes(id, dataOperations.get, {
    ...named,
    key: Buffer.from(key),
    sequence,
    ...consumeFields,
    waitMs: 60_000,
  })

async function endsByViolation(connection: RawConnection): Promise<void> {
  await connection.closed
  expect(connection.frames.at(-1)?.kind).toBe(errorTable.PROTOCOL_VIOLATION.wire)
}

test('another operation in a lane that is under way ends the connection, and what waited there takes nothing', async () => {
  const { connection, waits, job } = await startOne()
  connection.send(await parked(2, 'k'))
  await expect.poll(waits).toBe(1)
  connection.send(await frameBytes(3, dataOperations.deleteMany, { ...named, keys: [Buffer.from('k')] }))
  await endsByViolation(connection)
  expect(waits()).toBe(0)
  await job.put('k', 'still here')
  expect((await job.get('k')).toString()).toBe('still here')
})

test('another key in a lane that has its answer ends the connection: nobody gets the answer of another mutation', async () => {
  const { connection } = await startOne()
  const put = (id: number, key: string) =>
    frameBytes(id, dataOperations.put, { ...named, key: Buffer.from(key), ...putFields }, Buffer.from('x'))
  connection.send(await put(2, 'a'))
  await expect.poll(() => connection.frames.length).toBe(2)
  connection.send(await put(3, 'a'))
  await expect.poll(() => connection.frames.length).toBe(3)
  expect(connection.frames[2]?.head.equals(connection.frames[1]?.head as Buffer)).toBe(true)
  connection.send(await put(4, 'b'))
  await endsByViolation(connection)
})

test('a mutation that is under way and comes again over its connection ends it', async () => {
  const { connection, waits, job } = await startOne()
  connection.send(await parked(2, 'k'))
  await expect.poll(waits).toBe(1)
  connection.send(await parked(3, 'k'))
  await endsByViolation(connection)
  await job.put('k', 'still here')
  expect((await job.get('k')).toString()).toBe('still here')
})

test('a request id that is under way and comes again ends the connection, and no get outlives it', async () => {
  const { connection, waits, job } = await startOne()
  connection.send(await parked(2, 'a'))
  await expect.poll(waits).toBe(1)
  connection.send(await parked(2, 'b', 2))
  await endsByViolation(connection)
  expect(waits()).toBe(0)
  await job.put('a', 'still here')
  await job.put('b', 'still here')
  expect(await job.getMany(['a', 'b'])).toEqual([Buffer.from('still here'), Buffer.from('still here')])
})

test('I24: a consume whose connection broke while it waited takes nothing', async () => {
  const { connection, waits, job } = await startOne()
  connection.send(await parked(2, 'k'))
  await expect.poll(waits).toBe(1)
  connection.vanish()
  await expect.poll(waits).toBe(0)
  await sleep(20)
  await job.put('k', 'still here')
  expect((await job.get('k')).toString()).toBe('still here')
})
