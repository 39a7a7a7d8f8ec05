import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { STREAM_BYTES } from '../../gateway/limits.ts'
import { ask, sendRaw, signedHead, startTestGateway, type TestGateway } from './support/in-process.ts'

const MIB = 2 ** 20
const put = { method: 'PUT', path: '/default/a', payloadHash: 'UNSIGNED-PAYLOAD' }

async function socketTo({ endpoint }: TestGateway): Promise<Socket> {
  const { hostname, port } = new URL(endpoint)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function bodyBytes({ registry }: TestGateway): Promise<number> {
  const [value] = (await registry.getSingleMetric('mayfly_s3_body_bytes')?.get())?.values ?? []
  return value?.value ?? 0
}

test('a client that drops in the middle of its body stores nothing and holds no memory', async () => {
  const gateway = await startTestGateway()
  const head = `${signedHead(gateway, put).text}content-length: ${4 * MIB}\r\n\r\n`
  const sockets = await Promise.all(Array.from({ length: 20 }, () => socketTo(gateway)))
  for (const socket of sockets) socket.write(head + 'x'.repeat(MIB))
  await expect.poll(() => bodyBytes(gateway)).toBeGreaterThan(20 * MIB)
  for (const socket of sockets) socket.destroy()
  await expect.poll(() => bodyBytes(gateway)).toBe(0)
  expect((await ask(gateway, { method: 'GET', path: '/default/a' })).code).toBe('NoSuchKey')
})

test('a body that does not move is RequestTimeout, and headers that do not come are too', async () => {
  const gateway = await startTestGateway()
  const { text } = signedHead(gateway, put)
  const [body, headers] = await Promise.all([
    sendRaw(gateway, [`${text}content-length: 100\r\n\r\nsome bytes`]),
    sendRaw(gateway, ['GET /default/a HTTP/1.1\r\nhost: a\r\n']),
  ])
  expect(body).toMatchObject({ status: 400, code: 'RequestTimeout' })
  expect(headers).toMatchObject({ status: 400, code: 'RequestTimeout' })
})

test('clients that never read cost a bounded memory, and others are served meanwhile', async () => {
  const gateway = await startTestGateway()
  const job = await openJob(gateway.ticket)
  onTestFinished(() => job.close())
  await job.put('large', Buffer.alloc(30 * MIB))
  await job.put('small', 'bytes')
  const before = process.memoryUsage().rss
  const head = `${signedHead(gateway, { method: 'GET', path: '/default/large' }).text}\r\n`
  const sockets = await Promise.all(Array.from({ length: 40 }, () => socketTo(gateway)))
  for (const socket of sockets) socket.pause().write(head)
  await expect.poll(() => bodyBytes(gateway)).toBe(40 * STREAM_BYTES)
  for (let index = 0; index < 20; index++)
    expect((await ask(gateway, { method: 'GET', path: '/default/small' })).body).toBe('bytes')
  // 40 streams of a whole object each would be 1,200 MiB.
  expect(process.memoryUsage().rss - before).toBeLessThan(500 * MIB)
})

test('10,000 idle connections do not keep others from being served', {
  timeout: 240_000,
}, async (context) => {
  const files = await filesMax()
  // Both ends of a connection are files; the other end is in a process of its own.
  if (files < IDLE + 1_000) context.skip(`this process may have ${files} files open: ulimit -n 12000`)
  const gateway = await startTestGateway()
  const before = process.memoryUsage().rss
  const { port } = new URL(gateway.endpoint)
  const idle = fork(new URL('support/idle-connections.mjs', import.meta.url), [port, String(IDLE)])
  onTestFinished(() => void idle.kill('SIGKILL'))
  expect(await once(idle, 'message')).toEqual([{ open: IDLE }, undefined])
  await expect.poll(() => connections(gateway)).toBe(IDLE)
  expect((await ask(gateway, { ...put, body: 'bytes', payloadHash: 'UNSIGNED-PAYLOAD' })).status).toBe(200)
  expect((await ask(gateway, { method: 'GET', path: '/default/a' })).body).toBe('bytes')
  expect(await connections(gateway)).toBe(IDLE)
  expect((process.memoryUsage().rss - before) / IDLE).toBeLessThan(30_000)
})

const IDLE = 10_000

/** Node has raised the soft limit to the hard one. */
async function filesMax(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8')
  return Number(/Max open files +(\d+)/.exec(limits)?.[1] ?? 0)
}

async function connections({ registry }: TestGateway): Promise<number> {
  const [value] = (await registry.getSingleMetric('mayfly_s3_connections')?.get())?.values ?? []
  return value?.value ?? 0
}
