import { describe, expect, test } from 'vitest'
import { Allowance } from '../../../controller/jobs/allowance.ts'
import { EVENT_STREAMS_OF_KEY_MAX, REGISTRATIONS_OF_KEY_MAX } from '../../../controller/limits.ts'
import { isJobOf, newJobId } from '../../../controller/records/id.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { type Ask, apiKey, MIB, type Reply, World } from '../support/world.ts'

const small = { hints: { capacityBytes: MIB, peakBytesPerSecond: 1000 } }

/** A world with a key of each role, and functions that send requests with it. */
async function start() {
  const world = await World.start()
  const make = async (name: string, role: string) => {
    const { status, body } = await world.ask('/v1/keys', { method: 'POST', body: { name, role } })
    expect(status).toBe(201)
    const headers = { authorization: `Bearer ${body.key}` }
    const ask = (path: string, asked: Ask = {}): Promise<Reply> =>
      world.ask(path, { ...asked, headers: { ...asked.headers, ...headers } })
    return {
      key: body.key as string,
      ask,
      register: (more = {}, own = {}) => world.register({ ...small, ...more }, { ...own, ...headers }),
    }
  }
  return { world, make }
}

describe('API keys', () => {
  test('are made, listed without the key, rotated and revoked', async () => {
    const { world, make } = await start()
    const { key, ask } = await make('ci', 'driver')
    expect(key).toMatch(/^[\w-]{43}$/)
    const listed = await world.ask('/v1/keys')
    expect(listed.body.keys).toMatchObject([
      { name: 'default', role: 'admin', source: 'config' },
      { name: 'ci', role: 'driver', source: 'api' },
    ])
    expect(listed.text).not.toContain(key)
    expect((await ask('/v1/jobs')).status).toBe(200)
    const rotated = await world.ask('/v1/keys/ci/rotate', { method: 'POST', body: {} })
    expect((await ask('/v1/jobs')).status).toBe(401)
    const fresh = { headers: { authorization: `Bearer ${rotated.body.key}` } }
    expect((await world.ask('/v1/jobs', fresh)).status).toBe(200)
    expect((await world.ask('/v1/keys/ci', { method: 'DELETE' })).status).toBe(200)
    expect((await world.ask('/v1/jobs', fresh)).status).toBe(401)
    expect((await world.ask('/v1/keys/ci', { method: 'DELETE' })).status).toBe(404)
  })

  test('that were made are there after a restart, and stand nowhere as they are', async () => {
    const { world, make } = await start()
    const { key, ask } = await make('ci', 'viewer')
    const store = world.openStore()
    expect(JSON.stringify(await store.load())).not.toContain(key)
    await store.close()
    await world.stop()
    await world.startController()
    expect((await ask('/v1/nodes')).status).toBe(200)
  })

  test('are taken for a while after a rotation, if that is asked for', async () => {
    const { world, make } = await start()
    const { ask } = await make('ci', 'driver')
    await world.ask('/v1/keys/ci/rotate', { method: 'POST', body: { graceSeconds: 60 } })
    expect((await ask('/v1/jobs')).status).toBe(200)
  })

  test('of the config, and names that are taken or not allowed, are refused', async () => {
    const { world, make } = await start()
    await make('ci', 'driver')
    const again = await world.ask('/v1/keys', { method: 'POST', body: { name: 'ci', role: 'viewer' } })
    expect([again.status, again.body.error.field]).toEqual([400, 'name'])
    expect((await world.ask('/v1/keys/default', { method: 'DELETE' })).status).toBe(400)
    expect(
      (await world.ask('/v1/keys', { method: 'POST', body: { name: 'A', role: 'driver' } })).status,
    ).toBe(400)
    expect((await world.ask('/v1/keys', { method: 'POST', body: { name: 'b', role: 'root' } })).status).toBe(
      400,
    )
  })
})

describe('a driver', () => {
  test('sees, changes and ends its own jobs alone', async () => {
    const { world, make } = await start()
    const [ci, other] = [await make('ci', 'driver'), await make('other', 'driver')]
    const { body: own } = await ci.register()
    expect(own).toMatchObject({ owner: 'ci', ticket: expect.any(String) })
    const path = `/v1/jobs/${own.id}`
    const asked: [string, Ask][] = [
      [path, {}],
      [path, { method: 'PATCH', body: { hints: {} } }],
      [`${path}/renew`, { method: 'POST' }],
      [path, { method: 'DELETE' }],
    ]
    for (const [at, ask] of asked) {
      const { status, body } = await other.ask(at, ask)
      expect([at, status, body.error.code]).toEqual([at, 404, 'JOB_NOT_FOUND'])
    }
    expect((await other.ask('/v1/jobs')).body.jobs).toEqual([])
    expect((await ci.ask('/v1/jobs')).body.jobs).toHaveLength(1)
    expect((await world.ask('/v1/jobs')).body.jobs).toHaveLength(1)
    for (const [at, ask] of asked) expect((await ci.ask(at, ask)).status).toBe(200)
  })

  test('reaches nothing that is of the cluster', async () => {
    const { make } = await start()
    const { ask } = await make('ci', 'driver')
    for (const path of ['/v1/nodes', '/v1/cluster', '/v1/events', '/metrics', '/v1/keys']) {
      const { status, body } = await ask(path)
      expect([path, status, body.error.code]).toEqual([path, 403, 'FORBIDDEN'])
    }
    expect((await ask('/openapi.json')).status).toBe(200)
    expect((await ask('/v1/nothing')).body.error.code).toBe('ROUTE_NOT_FOUND')
  })

  test('has idempotency keys and a history of its own', async () => {
    const { world, make } = await start()
    const [ci, other] = [await make('ci', 'driver'), await make('other', 'driver')]
    const key = { 'idempotency-key': 'once' }
    const first = await ci.register({}, key)
    const second = await other.register({ leaseSeconds: 60 }, key)
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.body.id).not.toBe(first.body.id)
    expect((await ci.register({}, key)).body.id).toBe(first.body.id)
    const [node = ''] = world.fleet.running.keys()
    for (let run = 0; run < 3; run++) {
      const { id } = (await ci.ask('/v1/jobs', { method: 'POST', body: { name: 'sort' } })).body
      await world.report(node, [{ id, objects: 1, bytes: { ram: 5 * MIB }, bytesPerSecond: 10 }])
      await ci.ask(`/v1/jobs/${id}`, { method: 'DELETE' })
    }
    const groundOf = async ({ ask }: typeof ci) =>
      (await ask('/v1/jobs', { method: 'POST', body: { name: 'sort' } })).body.sizing.bytes.ground
    expect([await groundOf(ci), await groundOf(other)]).toEqual(['history', 'default'])
  })
})

test('a viewer sees everything, and gets neither ticket nor bytes nor a change', async () => {
  const { world, make } = await start()
  const { ask, register } = await make('eyes', 'viewer')
  const { id } = (await world.register(small)).body
  for (const path of ['/v1/jobs', '/v1/nodes', '/v1/cluster', '/metrics', '/v1/kept'])
    expect([path, (await ask(path)).status]).toEqual([path, 200])
  const { status, body } = await ask(`/v1/jobs/${id}`)
  expect([status, body.state, body.ticket]).toEqual([200, 'active', undefined])
  expect((await register()).status).toBe(403)
  expect((await ask(`/v1/jobs/${id}`, { method: 'DELETE' })).status).toBe(403)
  expect((await ask('/v1/kept/object?job=a&bucket=b&key=c')).status).toBe(403)
  expect((await ask('/v1/keys')).status).toBe(403)
})

test('an id tells whose job it was, and one from before says nothing', () => {
  const id = newJobId(systemRuntime.random, 'ci')
  expect([isJobOf(id, 'ci'), isJobOf(id, 'other')]).toEqual([true, false])
  expect(isJobOf(id.slice(0, 22), 'ci')).toBe(false)
})

test('places are shared: one key that has all it may leaves room to the others', () => {
  const allowance = new Allowance('things', { max: 10, ownerMax: 8 })
  for (let taken = 0; taken < 8; taken++) allowance.enter('a')
  expect(() => allowance.enter('a')).toThrow("API key 'a' has 8 of 8 things")
  const leave = [1, 2, 3, 4, 5].map(() => allowance.enter('b'))
  expect(() => allowance.enter('b')).toThrow("API key 'b' has 5")
  allowance.enter('c')
  for (const each of leave) each()
  expect(allowance.total).toBe(9)
  expect(EVENT_STREAMS_OF_KEY_MAX).toBeLessThan(REGISTRATIONS_OF_KEY_MAX)
})

test('the key that `mayfly up` makes is of an admin', async () => {
  const { world } = await start()
  expect((await world.ask('/v1/keys', { headers: { authorization: `Bearer ${apiKey}` } })).status).toBe(200)
})
