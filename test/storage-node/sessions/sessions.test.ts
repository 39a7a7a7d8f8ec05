import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { dataOperations, PutCondition } from '../../../protocol/operations/data-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { Caller } from '../../../protocol/transport/caller.ts'
import { SessionTrail } from '../../../protocol/transport/session-trail.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { open, Planes } from '../../fixture/planes.ts'

/** A client that can break its connection and repeat its requests. */
async function startOne() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const { token } = parseTicket(ticket)
  const trail = new SessionTrail()
  let last: Caller | null = null
  const connect = async () => {
    const link = await dialTcp(node.address)
    // More sends than these tests make over one connection, so that the trail covers every session of the node.
    for (let i = 0; i < 100; i++) trail.sends(last?.session ?? null)
    last = new Caller(link, {
      runtime: systemRuntime,
      token,
      trail,
      deadlineMs: performance.now() + 5000,
    })
    return last
  }
  return { node, connect, job: await open(ticket) }
}

const soon = () => ({ deadlineMs: performance.now() + 5000 })
const at = (key: string, sequence: number, lane = 0) => ({
  epoch: 1,
  bucket: 0,
  key: Buffer.from(key),
  lane,
  sequence,
})
const putFields = { condition: 0, ifVersion: 0, ttlSeconds: 0, metadata: [], checksum: null, keptBucket: '' }
const consume = { consume: true, waitMs: 0, version: 0, offset: 0, length: 0 }

test('I9: a mutation that is repeated over a new connection is answered, not carried out again', async () => {
  const { connect, job } = await startOne()
  const first = await connect()
  const put = { ...at('k', 1), ...putFields }
  const answer = await first.call(dataOperations.put, put, { ...soon(), payload: Buffer.from('mine') })
  first.close()
  await job.put('k', "another client's")
  const second = await connect()
  const again = await second.call(dataOperations.put, put, { ...soon(), payload: Buffer.from('mine') })
  expect(again.head.version).toBe(answer.head.version)
  expect((await job.get('k')).toString()).toBe("another client's")
  const length = { ...at('log', 2), checksum: null }
  await second.call(dataOperations.append, length, { ...soon(), payload: Buffer.from('once') })
  expect(
    (await second.call(dataOperations.append, length, { ...soon(), payload: Buffer.from('once') })).head
      .bytes,
  ).toBe(4)
  second.close()
})

test('a consumed object is kept for its consumer until it is settled', async () => {
  const { node, connect, job } = await startOne()
  await job.put('k', randomBytes(10_000))
  const first = await connect()
  const answer = await first.call(dataOperations.get, { ...at('k', 1), ...consume }, soon())
  first.close()
  expect(await job.exists('k')).toBe(false)
  expect(node.node.ram.usedBytes).toBeGreaterThan(9_999)
  const second = await connect()
  const again = await second.call(dataOperations.get, { ...at('k', 1), ...consume }, soon())
  expect(again.payload.equals(answer.payload)).toBe(true)
  await second.call(dataOperations.settle, { lanes: [{ lane: 0, sequence: 1 }] }, soon())
  expect(node.node.ram.usedBytes).toBe(0)
  await expect(second.call(dataOperations.get, { ...at('k', 1), ...consume }, soon())).rejects.toMatchObject({
    code: 'OUTCOME_UNKNOWN',
  })
  second.close()
})

test('an error is an answer too: its repetition does nothing', async () => {
  const { connect, job } = await startOne()
  const caller = await connect()
  await job.put('k', 'x')
  const put = { ...at('k', 1), ...putFields, condition: PutCondition.absent, ifVersion: 0 }
  await expect(caller.call(dataOperations.put, put, soon())).rejects.toMatchObject({ code: 'KEY_EXISTS' })
  await job.delete('k')
  await expect(caller.call(dataOperations.put, put, soon())).rejects.toMatchObject({ code: 'KEY_EXISTS' })
  expect(await job.exists('k')).toBe(false)
  caller.close()
})

test('a consumer whose connection broke while it waited has consumed nothing', async () => {
  const { connect, job } = await startOne()
  const caller = await connect()
  await caller.server
  const waiting = caller.call(dataOperations.get, { ...at('k', 1), ...consume, waitMs: 5000 }, soon())
  await new Promise((resolve) => setTimeout(resolve, 50))
  caller.close()
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await job.put('k', 'x')
  expect((await job.get('k')).toString()).toBe('x')
})

test('a sequence above 2^32 is answered once, and is another one than that 2^32 below it', async () => {
  const { connect } = await startOne()
  const caller = await connect()
  const append = async (sequence: number) => {
    const request = { ...at('log', sequence), checksum: null }
    const { head } = await caller.call(dataOperations.append, request, {
      ...soon(),
      payload: Buffer.from('x'),
    })
    return head.bytes
  }
  expect(await append(7)).toBe(1)
  expect(await append(2 ** 32 + 7)).toBe(2)
  expect(await append(2 ** 32 + 7)).toBe(2)
  expect(await append(Number.MAX_SAFE_INTEGER)).toBe(3)
  caller.close()
})

test('the next mutation of its lane frees what was kept for a consumer, and one of another lane does not', async () => {
  const { node, connect, job } = await startOne()
  await job.put('k', randomBytes(10_000))
  const caller = await connect()
  await caller.call(dataOperations.get, { ...at('k', 1, 3), ...consume }, soon())
  await caller.call(dataOperations.delete, at('other', 9, 4), soon())
  expect(node.node.ram.usedBytes).toBeGreaterThan(9_999)
  await caller.call(dataOperations.delete, at('other', 2, 3), soon())
  expect(node.node.ram.usedBytes).toBe(0)
  await expect(
    caller.call(dataOperations.get, { ...at('k', 1, 3), ...consume }, soon()),
  ).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  caller.close()
})

test.each([
  [
    'took its lane for another',
    async (caller: Caller) => caller.call(dataOperations.delete, at('x', 2), soon()),
  ],
  [
    'settled it',
    async (caller: Caller) =>
      caller.call(dataOperations.settle, { lanes: [{ lane: 0, sequence: 1 }] }, soon()),
  ],
])('nothing is kept for a consumer that had %s before its object came', async (_, giveUp) => {
  const { node, connect, job } = await startOne()
  const caller = await connect()
  const waiting = caller.call(dataOperations.get, { ...at('k', 1), ...consume, waitMs: 5000 }, soon())
  await giveUp(caller)
  await job.put('k', randomBytes(10_000))
  expect((await waiting).payload).toHaveLength(10_000)
  expect(node.node.ram.usedBytes).toBe(0)
  caller.close()
})
