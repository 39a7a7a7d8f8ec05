import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { costOf } from '../../../controller/api/console/cost.ts'
import { quantile } from '../../../controller/api/console/rates.ts'
import { Sessions } from '../../../controller/api/console/sessions.ts'
import {
  LINK_SECONDS,
  LINKS_OF_KEY_MAX,
  SESSION_SECONDS,
  SESSIONS_OF_KEY_MAX,
} from '../../../controller/limits.ts'
import type { Job } from '../../../controller/records/job.ts'
import { latencyBoundsMs } from '../../../protocol/operations/reports.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { apiKey, smallClass, World } from '../support/world.ts'

const json = { 'content-type': 'application/json' }

function post(world: World, path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(`${world.url}${path}`, {
    method: 'POST',
    headers: { ...json, ...headers },
    body: JSON.stringify(body),
  })
}

async function sessionOf(world: World, key = apiKey): Promise<string> {
  const response = await post(world, '/console/login', { apiKey: key })
  return response.headers.get('set-cookie')?.split(';')[0] ?? ''
}

test('the page comes with a strict policy, zipped, and once', async () => {
  const pageDir = await tempDir()
  await mkdir(join(pageDir, 'assets'))
  await writeFile(join(pageDir, 'index.html'), '<h1>page</h1>')
  await writeFile(join(pageDir, 'assets/a-1.js'), 'let a')
  const world = await World.start({ pageDir })
  const page = await fetch(`${world.url}/`)
  expect([page.status, await page.text()]).toEqual([200, '<h1>page</h1>'])
  expect(page.headers.get('content-encoding')).toBe('gzip')
  const policy = page.headers.get('content-security-policy')
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
  expect(policy).not.toContain('unsafe')
  const again = await fetch(`${world.url}/`, { headers: { 'if-none-match': page.headers.get('etag') ?? '' } })
  expect(again.status).toBe(304)
  const asset = await fetch(`${world.url}/assets/a-1.js`, { headers: { 'accept-encoding': 'identity' } })
  expect([await asset.text(), asset.headers.get('cache-control')]).toEqual([
    'let a',
    expect.stringContaining('immutable'),
  ])
  for (const path of ['/assets/b.js', '/assets/..%2findex.html', '/assets/%2e%2e%2f%2e%2e%2fpackage.json'])
    expect([path, (await fetch(`${world.url}${path}`)).status]).toEqual([path, 404])
  const bare = await World.start()
  expect((await fetch(`${bare.url}/`)).status).toBe(404)
})

test('a session opens the page alone, none of the API', async () => {
  const world = await World.start({ warmNodes: 1 })
  const { body: job } = await world.register()
  const cookie = await sessionOf(world)
  const ask = async (path: string, method = 'GET'): Promise<number> =>
    (await fetch(`${world.url}${path}`, { method, headers: { cookie } })).status
  for (const path of ['/v1/jobs', `/v1/jobs/${job.id}`, '/v1/nodes', '/v1/events', '/metrics', '/v1/keys'])
    expect([path, await ask(path)]).toEqual([path, 401])
  expect(await ask(`/v1/jobs/${job.id}`, 'DELETE')).toBe(401)
  const ended = new AbortController()
  const stream = await fetch(`${world.url}/console/stream`, { headers: { cookie }, signal: ended.signal })
  expect(stream.headers.get('content-type')).toContain('text/event-stream')
  let text = ''
  for await (const piece of stream.body ?? []) {
    text += Buffer.from(piece).toString()
    if (text.includes('event: snapshot')) break
  }
  expect(text).not.toContain(job.ticket)
  expect(text).toContain(job.id)
  ended.abort()
})

test('nobody enters without a key, with a wrong one, or with that of a driver', async () => {
  const world = await World.start()
  const driver = (await world.ask('/v1/keys', { method: 'POST', body: { name: 'ci', role: 'driver' } })).body
    .key
  const status = async (body: unknown): Promise<number> => (await post(world, '/console/login', body)).status
  expect(await status({ apiKey: 'wrong' })).toBe(401)
  expect(await status({ apiKey: driver })).toBe(403)
  expect(await status({ code: 'wrong' })).toBe(401)
  expect(await status({})).toBe(400)
  expect(await status({ apiKey, more: 1 })).toBe(400)
  expect(await status({ apiKey })).toBe(200)
  expect((await fetch(`${world.url}/console/stream`)).status).toBe(401)
  const links = await post(world, '/v1/console/links', {}, { authorization: `Bearer ${driver}` })
  expect(links.status).toBe(403)
})

test('sessions and links end with their time and their key, and have a bound', () => {
  const clock = new VirtualClock()
  const living = new Set(['one', 'two'])
  const find = (key: string) => (living.has(key) ? ({ name: key, role: 'viewer' } as const) : null)
  let digests = 0
  const random = { bytes: (count: number) => Buffer.alloc(count, `${digests++}-`), fraction: () => 0 }
  const sessions = new Sessions({ findDigest: () => find('one') }, { clock, random })
  const { session } = sessions.login('one')
  expect(sessions.find(session)?.name).toBe('one')
  expect(sessions.find(`${session}x`)).toBe(null)
  const others = Array.from({ length: SESSIONS_OF_KEY_MAX }, () => sessions.login('one').session)
  expect(sessions.find(session)).toBe(null)
  expect(others.every((other) => sessions.find(other) !== null)).toBe(true)
  const { code } = sessions.makeLink('one')
  expect(sessions.redeem(code).caller.name).toBe('one')
  expect(() => sessions.redeem(code)).toThrow('used before')
  const old = sessions.makeLink('one').code
  clock.jump(LINK_SECONDS * 1000)
  expect(() => sessions.redeem(old)).toThrow('too old')
  const first = sessions.makeLink('one').code
  for (let made = 0; made < LINKS_OF_KEY_MAX; made++) sessions.makeLink('one')
  expect(() => sessions.redeem(first)).toThrow('used before')
  const last = others.at(-1) ?? ''
  living.delete('one')
  expect(sessions.find(last)).toBe(null)
  living.add('one')
  const fresh = sessions.login('one').session
  clock.jump(SESSION_SECONDS * 1000 - 1)
  expect(sessions.find(fresh)).not.toBe(null)
  clock.jump(1)
  expect(sessions.find(fresh)).toBe(null)
})

test('quantiles are those of Prometheus', () => {
  const counts = new Array(latencyBoundsMs.length + 1).fill(0)
  expect(quantile(counts, 0.5)).toBe(null)
  counts[4] = 100 // from 0.5 to 1 ms
  expect(quantile(counts, 0.5)).toBe(0.75)
  expect(quantile(counts, 0.99)).toBeCloseTo(0.995)
  counts[latencyBoundsMs.length] = 100
  expect(quantile(counts, 0.99)).toBe(10_000)
})

test('Redis costs whole machines for each job, of the cheapest class', () => {
  const large = { ...smallClass, name: 'large', ramBytes: 4 * smallClass.ramBytes, pricePerHour: 0.4 }
  const job = (ramBytes: number, bytesPerSecond: number) =>
    ({
      demand: { ramBytes, ssdBytes: 0, s3Bytes: 0, bytesPerSecond, s3PricePerHour: 0.01 },
    }) as unknown as Job
  const jobs = [job(1, 1), job(3 * smallClass.ramBytes, 1), job(1, 2.5 * smallClass.bytesPerSecond)]
  const cost = costOf(jobs, { classes: [smallClass], fleet: { pricePerHour: 0.2 } as never })
  expect([cost.redisNodes, cost.redisClass, cost.nodes]).toEqual([7, 'small', 0.2])
  expect(cost.redis).toBeCloseTo(0.7)
  expect(cost.s3).toBeCloseTo(0.03)
  const both = costOf(jobs.slice(1, 2), { classes: [smallClass, large], fleet: { pricePerHour: 0 } as never })
  expect([both.redisNodes, both.redisClass]).toEqual([3, 'small'])
})
