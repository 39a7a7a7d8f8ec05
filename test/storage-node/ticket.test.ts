import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { formatTicket, parseTicket } from '../../protocol/model/ticket.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { open, Planes } from '../fixture/planes.ts'

async function startOne() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  return { planes, node, ticket, placement: parseTicket(ticket).placement }
}

test.each(['', 'hello', 'mayfly2.', 'mayfly2.AAAA', 'mayfly2.%%%%'])(
  'the string %j is no ticket',
  async (ticket) => {
    await expect(openJob(ticket)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  },
)

test('a ticket cut short is damaged', async () => {
  const { ticket } = await startOne()
  await expect(openJob(ticket.slice(0, -10))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

test('a ticket that another cluster signed is refused', async () => {
  const { planes, placement } = await startOne()
  const job = await open(planes.ticket('j-1', placement, {}, randomBytes(32)))
  await expect(job.get('k')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

test('an expired ticket says when it expired', async () => {
  const { planes, placement } = await startOne()
  const job = await open(planes.ticket('j-1', placement, { expiresSeconds: 1_600_000_000 }))
  await expect(job.put('k', 'x')).rejects.toMatchObject({
    code: 'TICKET_EXPIRED',
    message: expect.stringContaining('2020-09-13'),
  })
})

test('a token whose claims were changed is refused', async () => {
  const { ticket } = await startOne()
  const parsed = parseTicket(ticket)
  for (let at = 0; at < parsed.token.length; at++) {
    const token = Buffer.from(parsed.token)
    token[at] = (token[at] ?? 0) ^ 1
    const job = await openJob(formatTicket({ ...parsed, token }))
    await expect(job.get('k')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await job.close()
  }
})

test("I12: a job's ticket never reaches another job's data, even with the other's placement", async () => {
  const { planes, node } = await startOne()
  const mine = await open(await planes.createJob('j-mine', [node]))
  const theirs = await open(await planes.createJob('j-theirs', [node]))
  await theirs.put('k', 'theirs')
  await expect(mine.get('k')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const { placement } = parseTicket(await planes.createJob('j-theirs', [node]))
  const job = await open(planes.ticket('j-none', placement))
  await expect(job.get('k')).rejects.toMatchObject({ code: 'JOB_ENDED' })
})

test('rights of a ticket are enforced', async () => {
  const { planes, placement } = await startOne()
  const reader = await open(planes.ticket('j-1', placement, { write: false }))
  const writer = await open(planes.ticket('j-1', placement, { read: false }))
  await writer.put('k', 'x')
  expect((await reader.get('k')).toString()).toBe('x')
  await expect(writer.get('k')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(reader.put('k', 'y')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(reader.get('k', { consume: true })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(reader.delete('k')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(reader.createBucket('b')).rejects.toMatchObject({ code: 'FORBIDDEN' })
})

test('I15: a ticket of a job that ended answers JOB_ENDED, and its bytes are free', async () => {
  const { planes, node, ticket } = await startOne()
  const job = await open(ticket)
  await job.put('k', randomBytes(100_000))
  await planes.ask(placementOperations.jobEnd, { job: 'j-1' })
  await expect(job.get('k')).rejects.toMatchObject({ code: 'JOB_ENDED' })
  await expect(job.put('k', 'x')).rejects.toMatchObject({ code: 'JOB_ENDED' })
  expect(node.node.ram.usedBytes).toBe(0)
})
