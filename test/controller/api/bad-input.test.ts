import { describe, expect, test } from 'vitest'
import { signToken } from '../../../protocol/model/token.ts'
import { RequestSigner } from '../../../service/reporting/signed-requests.ts'
import { apiKey, World } from '../support/world.ts'

const bad: readonly [name: string, body: unknown, field: string, allowed: string][] = [
  [
    'an unknown hint',
    { name: 'a', hints: { colour: 1 } },
    'hints.colour',
    'latencySensitive, latencyMs, maxFunctions, capacityBytes, peakBytesPerSecond, readsPerObject',
  ],
  ['an unknown field', { name: 'a', speed: 1 }, 'speed', 'name, hints, leaseSeconds'],
  ['a name with a NUL', { name: 'a\0b' }, 'name', 'matches'],
  ['a name with a control character', { name: 'a\u001bb' }, 'name', 'matches'],
  ['a name with half of a surrogate pair', { name: 'a\ud800b' }, 'name', 'surrogate'],
  ['a negative capacity', { name: 'a', hints: { capacityBytes: -1 } }, 'hints.capacityBytes', 'from 1 to'],
  ['no capacity', { name: 'a', hints: { capacityBytes: 0 } }, 'hints.capacityBytes', 'from 1 to'],
  [
    'a capacity with a fraction',
    { name: 'a', hints: { capacityBytes: 1.5 } },
    'hints.capacityBytes',
    'whole number',
  ],
  ['a capacity as text', { name: 'a', hints: { capacityBytes: '5' } }, 'hints.capacityBytes', 'whole number'],
  [
    'a capacity of null',
    { name: 'a', hints: { capacityBytes: null } },
    'hints.capacityBytes',
    'whole number',
  ],
  [
    'a capacity beyond reason',
    { name: 'a', hints: { capacityBytes: 2 ** 53 } },
    'hints.capacityBytes',
    'to 11258',
  ],
  [
    'negative throughput',
    { name: 'a', hints: { peakBytesPerSecond: -5 } },
    'hints.peakBytesPerSecond',
    'from 1',
  ],
  ['no functions', { name: 'a', hints: { maxFunctions: 0 } }, 'hints.maxFunctions', 'from 1 to'],
  [
    'a flag as text',
    { name: 'a', hints: { latencySensitive: 'yes' } },
    'hints.latencySensitive',
    'true or false',
  ],
  [
    'no latency at all',
    { name: 'a', hints: { latencyMs: 0 } },
    'hints.latencyMs',
    'a number from 0.001 to 60000',
  ],
  ['a latency beyond reason', { name: 'a', hints: { latencyMs: 60_001 } }, 'hints.latencyMs', 'to 60000'],
  ['a latency as text', { name: 'a', hints: { latencyMs: '5ms' } }, 'hints.latencyMs', 'a number'],
  ['a latency of null', { name: 'a', hints: { latencyMs: null } }, 'hints.latencyMs', 'a number'],
  [
    'fewer reads than none',
    { name: 'a', hints: { readsPerObject: -1 } },
    'hints.readsPerObject',
    'from 0 to',
  ],
  [
    'reads beyond reason',
    { name: 'a', hints: { readsPerObject: 1e6 + 1 } },
    'hints.readsPerObject',
    'to 1000000',
  ],
  ['reads as a flag', { name: 'a', hints: { readsPerObject: true } }, 'hints.readsPerObject', 'a number'],
  ['hints that are a list', { name: 'a', hints: [] }, 'hints', 'an object'],
  ['no name', { hints: {} }, 'name', 'missing'],
  ['an empty name', { name: '' }, 'name', '1 to 128 characters'],
  ['a name that is too long in bytes', { name: 'ü'.repeat(100) }, 'name', '128'],
  ['a lease of no time', { name: 'a', leaseSeconds: 0 }, 'leaseSeconds', 'from 1 to'],
  ['a body that is a list', [], 'body', 'an object'],
  ['a field that would reach the prototype', '{"name":"a","__proto__":{"x":1}}', '__proto__', 'not known'],
]

describe('bad input', () => {
  test.for(bad)('%s is refused by its name', async ([_, body, field, allowed]) => {
    const world = await World.start()
    const reply = await world.ask('/v1/jobs', { method: 'POST', body })
    expect(reply.status).toBe(400)
    expect(reply.body.error).toMatchObject({ code: 'BAD_REQUEST', field })
    expect(reply.body.error.message).toContain(field)
    expect(reply.body.error.message).toContain(allowed)
    expect(world.fleet.started).toBe(0)
  })

  test('a body that is no JSON, none at all, or of another kind is refused', async () => {
    const world = await World.start()
    const broken = await world.ask('/v1/jobs', { method: 'POST', body: '{"name":' })
    const none = await world.ask('/v1/jobs', { method: 'POST' })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const form = await world.ask('/v1/jobs', { method: 'POST', body: 'name=a', headers })
    expect([broken, none, form].map(({ status }) => status)).toEqual([400, 400, 400])
    expect([broken, none, form].map(({ body }) => body.error.code)).toEqual(Array(3).fill('BAD_REQUEST'))
  })

  test('a body over the limit is refused before it is read', async () => {
    const world = await World.start()
    const { status, body } = await world.ask('/v1/jobs', {
      method: 'POST',
      body: { name: 'a'.repeat(70_000) },
    })
    expect(status).toBe(413)
    expect(body.error.code).toBe('OBJECT_TOO_LARGE')
  })

  test('an unknown route and an unknown job are told apart', async () => {
    const world = await World.start()
    expect((await world.ask('/v1/jab')).body.error.code).toBe('ROUTE_NOT_FOUND')
    expect((await world.ask('/v1/jobs', { method: 'PUT' })).body.error.code).toBe('ROUTE_NOT_FOUND')
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/renew'],
    ] as const) {
      const { status, body } = await world.ask(`/v1/jobs/j-unknown${path}`, { method })
      expect([status, body.error.code]).toEqual([404, 'JOB_NOT_FOUND'])
    }
    const patch = { method: 'PATCH', body: { hints: {} } }
    expect((await world.ask('/v1/jobs/j-unknown', patch)).body.error.code).toBe('JOB_NOT_FOUND')
  })

  test('a request that says JSON and sends nothing is fine where nothing is needed', async () => {
    const world = await World.start()
    const { body } = await world.register()
    const headers = { 'content-type': 'application/json' }
    const { status } = await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE', headers })
    expect(status).toBe(200)
  })
})

describe('the API key', () => {
  const paths = ['/v1/jobs', '/v1/nodes', '/v1/cluster', '/v1/events', '/metrics', '/v1/unknown']

  test.for(paths)('is wanted by %s', async (path) => {
    const world = await World.start()
    for (const authorization of ['', 'Bearer', 'Bearer wrong', `Bearer ${apiKey}x`, `Basic ${apiKey}`]) {
      const { status, body } = await world.ask(path, { headers: { authorization } })
      expect([status, body.error.code]).toEqual([401, 'UNAUTHENTICATED'])
    }
  })

  test('is not wanted by the health check and the OpenAPI document', async () => {
    const world = await World.start()
    const { status, body } = await world.ask('/healthz', { headers: { authorization: '' } })
    expect([status, body]).toEqual([200, { status: 'ok' }])
    const document = await world.ask('/openapi.json', { headers: { authorization: '' } })
    expect([document.status, document.body.openapi]).toEqual([200, '3.1.0'])
  })
})

describe('the internal port', () => {
  const path = '/internal/v1/metadata/m-2/heartbeat'
  const evil = { address: 'evil:1', generation: 1, cpuCores: 0, tasks: [] }

  test('opens for the cluster alone: not for the API key, a ticket of a job, a token, or a signature of another cluster', async () => {
    const world = await World.start()
    const claims = { job: 'j-a', read: true, write: true, expiresSeconds: 2 ** 32 - 1 }
    const secret = Buffer.alloc(32, 7)
    const ticket = signToken(secret, claims).toString('base64url')
    const cluster = signToken(secret, { ...claims, job: '' }).toString('base64url')
    for (const authorization of ['', 'Mayfly', ...[apiKey, ticket, cluster].map((key) => `Bearer ${key}`)])
      expect((await world.ask(path, { method: 'POST', body: evil, headers: { authorization } })).status).toBe(
        401,
      )
    const foreign = await world.askSigned(new RequestSigner(Buffer.alloc(32, 8)), path, evil)
    expect([foreign.status, foreign.body.error.code]).toEqual([401, 'UNAUTHENTICATED'])
    expect((await world.ask('/v1/cluster')).body.metadata.length).toBe(1)
  })

  test('I23: a request that was recorded is refused when it comes again, with another path or body, or at another controller', async () => {
    const world = await World.start()
    const signer = new RequestSigner(Buffer.alloc(32, 7))
    expect((await world.askSigned(signer, path, evil)).status).toBe(200)
    const { header: authorization } = signer.sign(path, JSON.stringify(evil))
    const changed = { method: 'POST', body: { ...evil, address: 'other:1' }, headers: { authorization } }
    expect((await world.ask(path, changed)).status).toBe(401)
    const { header: second } = signer.sign(path, JSON.stringify(evil))
    const send = (to: string) =>
      world.ask(to, { method: 'POST', body: evil, headers: { authorization: second } })
    expect((await send(path.replace('m-2', 'm-3'))).status).toBe(401)
    expect((await send(path)).status).toBe(200)
    expect((await send(path)).status).toBe(401)
    const overtaken = signer.sign(path, JSON.stringify(evil)).header
    expect((await world.askSigned(signer, path, evil)).status).toBe(200)
    const late = { method: 'POST', body: evil, headers: { authorization: overtaken } }
    expect((await world.ask(path, late)).status).toBe(200)
    const { header: last } = signer.sign(path, JSON.stringify(evil))
    await world.stop()
    await world.startController()
    const elsewhere = { method: 'POST', body: evil, headers: { authorization: last } }
    expect((await world.ask(path, elsewhere)).status).toBe(401)
    expect((await world.askSigned(signer, path, evil)).status).toBe(200)
  })

  test('tells nodes where metadata is, and a node that nobody started that it is not known', async () => {
    const world = await World.start({ warmNodes: 1 })
    const [node = ''] = world.fleet.running.keys()
    expect((await world.report(node)).body).toEqual({ metadata: ['m-1:7401'] })
    expect((await world.report('n-unknown')).body.error.code).toBe('NODE_NOT_FOUND')
  })

  test('refuses a report that is not one', async () => {
    const world = await World.start({ warmNodes: 1 })
    const [node = ''] = world.fleet.running.keys()
    const { status, body } = await world.heartbeat(`nodes/${node}`, { class: 'small' })
    expect([status, body.error.field]).toEqual([400, 'address'])
  })
})
