import { expect, test } from 'vitest'
import { type Ask, World } from '../support/world.ts'

type Role = 'admin' | 'driver' | 'viewer'

const forAll: readonly Role[] = ['admin', 'driver', 'viewer']
const forDrivers: readonly Role[] = ['admin', 'driver']
const forViewers: readonly Role[] = ['admin', 'viewer']
const forAdmins: readonly Role[] = ['admin']

/** The table of docs/security.md. */
const rules: Readonly<Record<string, readonly Role[] | 'anybody'>> = {
  'get /healthz': 'anybody',
  'get /openapi.json': 'anybody',
  'post /v1/jobs': forDrivers,
  'get /v1/jobs': forAll,
  'get /v1/jobs/{id}': forAll,
  'patch /v1/jobs/{id}': forDrivers,
  'delete /v1/jobs/{id}': forDrivers,
  'post /v1/jobs/{id}/renew': forDrivers,
  'post /v1/jobs/{id}/tickets': forDrivers,
  'post /v1/jobs/{id}/s3-keys': forDrivers,
  'post /v1/jobs/{id}/move': forAdmins,
  'get /v1/nodes': forViewers,
  'post /v1/nodes/{id}/drain': forAdmins,
  'get /v1/cluster': forViewers,
  'get /v1/events': forViewers,
  'get /metrics': forViewers,
  'get /v1/metrics/targets': forViewers,
  'post /v1/console/links': forViewers,
  'get /v1/kept': forAll,
  'get /v1/kept/object': forDrivers,
  'delete /v1/kept/object': forDrivers,
  'get /v1/keys': forAdmins,
  'post /v1/keys': forAdmins,
  'post /v1/keys/{name}/rotate': forAdmins,
  'delete /v1/keys/{name}': forAdmins,
}

const bodies: Readonly<Record<string, unknown>> = {
  'post /v1/jobs/{id}/tickets': {},
  'post /v1/jobs/{id}/s3-keys': {},
  'post /v1/jobs/{id}/move': { metadata: 'm-1' },
  'patch /v1/jobs/{id}': { hints: {} },
  'post /v1/keys/{name}/rotate': {},
}

async function start() {
  const world = await World.start({ warmNodes: 1 })
  const keyOf = async (name: string, role: Role): Promise<string> =>
    (await world.ask('/v1/keys', { method: 'POST', body: { name, role } })).body.key
  const keys = {
    admin: await keyOf('root', 'admin'),
    driver: await keyOf('ci', 'driver'),
    viewer: await keyOf('eyes', 'viewer'),
  }
  const { paths } = (await world.ask('/openapi.json')).body
  const routes = Object.entries(paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  )
  /** Resolves with the status alone, as an event stream does not end. */
  const ask = async (route: string, key: string | null, id: string): Promise<number> => {
    const [method = '', path = ''] = route.split(' ')
    const query = path === '/v1/kept/object' ? '?job=j&bucket=b&key=k' : ''
    const ended = new AbortController()
    const body = bodies[route]
    const headers = {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(key !== null && { authorization: `Bearer ${key}` }),
    }
    const response = await fetch(`${world.url}${path.replace(/\{\w+\}/, id)}${query}`, {
      method: method.toUpperCase(),
      signal: ended.signal,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    ended.abort()
    return response.status
  }
  return { world, keys, routes, ask, keyOf }
}

test('each route is for the roles that the table names, and for nobody without a key or with a ticket', async () => {
  const { world, keys, routes, ask } = await start()
  expect(routes.sort()).toEqual(Object.keys(rules).sort())
  const { ticket } = (await world.register()).body
  for (const route of routes) {
    const rule = rules[route]
    const seen: Record<string, boolean> = {}
    for (const role of forAll) seen[role] = ![401, 403].includes(await ask(route, keys[role], 'unknown'))
    const isFor = (role: Role): boolean => rule === 'anybody' || rule?.includes(role) === true
    expect([route, seen]).toEqual([
      route,
      { admin: isFor('admin'), driver: isFor('driver'), viewer: isFor('viewer') },
    ])
    for (const key of [null, 'wrong', ticket])
      expect([route, await ask(route, key, 'unknown')]).toEqual([route, rule === 'anybody' ? 200 : 401])
  }
})

test("another driver's job does not exist on any route that names a job", async () => {
  const { world, keys, routes, ask } = await start()
  const ci: Ask = {
    method: 'POST',
    body: { name: 'own' },
    headers: { authorization: `Bearer ${keys.driver}` },
  }
  const [own, foreign] = [(await world.ask('/v1/jobs', ci)).body.id, (await world.register()).body.id]
  const ofJobs = routes.filter((route) => route.includes('/v1/jobs/{id}') && rules[route]?.includes('driver'))
  expect(ofJobs.length).toBe(6)
  const last = 'delete /v1/jobs/{id}'
  for (const route of [...ofJobs.filter((route) => route !== last), last]) {
    expect([route, await ask(route, keys.driver, foreign)]).toEqual([route, 404])
    // No gateway reports here.
    const status = route.endsWith('/s3-keys') ? 503 : 300
    expect([route, (await ask(route, keys.driver, own)) <= status]).toEqual([route, true])
  }
})
