import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { EVENT_STREAMS_OF_KEY_MAX, REGISTRATIONS_OF_KEY_MAX } from '../../controller/limits.ts'
import { MIB, smallClass, World } from '../controller/support/world.ts'

/** Ratio of the bystander's p99 under attack to its p99 before, on a machine that is busy with other tests. */
const P99_FACTOR_MAX = 20
const P99_MS_MIN = 10

/** A controller, and API keys of an attacker and of a bystander. */
async function start() {
  const world = await World.start({ warmNodes: 1, classes: [{ ...smallClass, nodesMax: 1 }] })
  const keyOf = async (name: string): Promise<string> =>
    (await world.ask('/v1/keys', { method: 'POST', body: { name, role: 'admin' } })).body.key
  const [attacker, bystander] = [await keyOf('attacker'), await keyOf('bystander')]
  /** Sends a request whose body is not read; resolves with its status as soon as the headers arrive. */
  const ended = new AbortController()
  onTestFinished(() => ended.abort())
  const begin = (key: string, path: string, body?: unknown): Promise<number> =>
    fetch(`${world.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      signal: ended.signal,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).then(
      ({ status }) => status,
      () => 0,
    )
  const ask = async (path: string, body?: unknown): Promise<number> => {
    const reply = await world.ask(path, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body !== undefined && { body }),
      headers: { authorization: `Bearer ${bystander}` },
    })
    return reply.status
  }
  const p99 = async (): Promise<number> => {
    const ms: number[] = []
    for (let round = 0; round < 200; round++) {
      const beganMs = performance.now()
      expect(await ask('/v1/jobs')).toBe(200)
      ms.push(performance.now() - beganMs)
    }
    return ms.sort((a, b) => a - b)[197] as number
  }
  return { world, attacker, bystander, begin, ask, p99 }
}

test('100 event streams of one key leave the others theirs, and their time', async () => {
  const { attacker, bystander, begin, p99 } = await start()
  const before = await p99()
  const streams = Array.from({ length: EVENT_STREAMS_OF_KEY_MAX }, () => begin(attacker, '/v1/events'))
  expect(new Set(await Promise.all(streams))).toEqual(new Set([200]))
  expect(await begin(attacker, '/v1/events')).toBe(429)
  expect(await begin(bystander, '/v1/events')).toBe(200)
  expect(await p99()).toBeLessThan(P99_FACTOR_MAX * Math.max(before, P99_MS_MIN))
})

test('1,000 registrations of one key that wait leave the others theirs, and their time', async () => {
  const { world, attacker, begin, ask, p99 } = await start()
  const before = await p99()
  // Almost the whole cluster, so that the other registrations have to wait.
  const most = { name: 'most', hints: { capacityBytes: 200 * MIB, peakBytesPerSecond: 1_000 } }
  expect(await begin(attacker, '/v1/jobs', most)).toBe(201)
  const waiting = { ...most, name: 'waiting', waitSeconds: 60 }
  const statuses: number[] = []
  for (let index = 0; index < REGISTRATIONS_OF_KEY_MAX; index++)
    void begin(attacker, '/v1/jobs', waiting).then((status) => statuses.push(status))
  const waits = async (): Promise<number> => (await world.ask('/v1/cluster')).body.waiting
  await expect.poll(waits, { timeout: 30_000 }).toBe(REGISTRATIONS_OF_KEY_MAX)
  expect(await begin(attacker, '/v1/jobs', waiting)).toBe(429)
  expect(await p99()).toBeLessThan(P99_FACTOR_MAX * Math.max(before, P99_MS_MIN))
  // The bystander's registration waits in the queue and is not refused.
  const bystanders = ask('/v1/jobs', { ...waiting, name: 'mine', waitSeconds: 1 })
  await sleep(100)
  expect(await waits()).toBe(REGISTRATIONS_OF_KEY_MAX + 1)
  expect(await bystanders).toBe(409)
  expect(statuses).toEqual([])
}, 90_000)
