import { expect, test } from 'vitest'
import { FIRST_PLACEMENT_MS, TICKET_PREFIX_BYTES_MAX } from '../../../controller/limits.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { verifiedClaims } from '../../fixture/verified-claims.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { World } from '../support/world.ts'

const secret = Buffer.alloc(32, 7)

async function start() {
  const world = await World.start()
  const { id } = (await world.register()).body
  const issue = (body: unknown) => world.ask(`/v1/jobs/${id}/tickets`, { method: 'POST', body })
  return { world, id, issue }
}

test('a ticket has what was asked for of rights, keys and time', async () => {
  const { id, issue } = await start()
  const nowMs = Date.now()
  const { status, body } = await issue({ write: false, prefix: 'out/', expiresInSeconds: 60 })
  expect(status).toBe(201)
  const claims = verifiedClaims(secret, Buffer.from(parseTicket(body.ticket).token), nowMs)
  expect(claims).toMatchObject({ job: id, read: true, write: false, prefix: Buffer.from('out/') })
  expect(claims.expiresSeconds * 1000).toBe(Date.parse(body.expiresAt))
  expect(Date.parse(body.expiresAt) - nowMs).toBeLessThanOrEqual(61_000)
})

test.each([
  ['half of a surrogate pair', 'out/\ud800'],
  ['a NUL', 'out/\0'],
])('a prefix with %s is refused by name, for tickets and for S3 keys', async (_, prefix) => {
  const { world, id } = await start()
  for (const below of ['tickets', 's3-keys']) {
    const { status, body } = await world.ask(`/v1/jobs/${id}/${below}`, { method: 'POST', body: { prefix } })
    expect([status, body.error.code, body.error.field]).toEqual([400, 'BAD_REQUEST', 'prefix'])
  }
  expect(
    (await world.ask(`/v1/jobs/${id}/tickets`, { method: 'POST', body: { prefix: '\u0001' } })).status,
  ).toBe(201)
})

test('one that grants nothing, or of a job that has ended, is refused', async () => {
  const { world, id, issue } = await start()
  expect((await issue({ read: false, write: false })).body.error).toMatchObject({
    code: 'BAD_REQUEST',
    field: 'write',
  })
  const long = 'é'.repeat(TICKET_PREFIX_BYTES_MAX)
  expect((await issue({ prefix: long })).body.error).toMatchObject({ code: 'BAD_REQUEST', field: 'prefix' })
  expect((await issue({ expiresInSeconds: 0 })).status).toBe(400)
  await world.ask(`/v1/jobs/${id}`, { method: 'DELETE' })
  expect((await issue({})).status).toBe(410)
})

test('the answer of a registration has the placement that its server has just given, later ones ask again', async () => {
  const { world, id } = await start()
  expect(world.metadata.asked.filter((what) => what.endsWith(id))).toEqual([`create ${id}`])
  const { body } = await world.ask(`/v1/jobs/${id}`)
  expect(world.metadata.asked.filter((what) => what.endsWith(id))).toEqual([
    `create ${id}`,
    `placement ${id}`,
  ])
  expect(parseTicket(body.ticket).placement.nodes).toHaveLength(1)
})

test('a registration that is asked for again much later gets the placement of then', async () => {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  const headers = { 'idempotency-key': 'k' }
  const { id } = (await world.register({}, headers)).body
  clock.jump(FIRST_PLACEMENT_MS + 1)
  await world.register({}, headers)
  expect(world.metadata.asked.filter((what) => what.endsWith(id))).toEqual([
    `create ${id}`,
    `placement ${id}`,
  ])
})
