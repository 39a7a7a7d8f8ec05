import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { HTTP_CHECK_MS, HTTP_REQUEST_MS_MAX } from '../../../controller/limits.ts'
import { startOwnTime } from '../../fixture/own-time.ts'
import { apiKey, World } from '../support/world.ts'

/** Sends raw text; resolves with everything received until the connection closes. */
async function raw(world: World, text: string): Promise<{ status: number; body: unknown }> {
  const { hostname, port } = new URL(world.url)
  const socket = connect(Number(port), hostname)
  onTestFinished(() => void socket.destroy())
  socket.write(text)
  let answer = ''
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString()
  })
  await once(socket, 'close')
  return answerOf(answer)
}

function answerOf(answer: string): { status: number; body: unknown } {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), body: JSON.parse(body) }
}

const badRequest = { error: { code: 'BAD_REQUEST', message: expect.any(String) } }

test('what is no HTTP is answered in the form of every error', async () => {
  const world = await World.start()
  expect(await raw(world, 'nonsense\r\n\r\n')).toEqual({ status: 400, body: badRequest })
  const long = `GET /v1/jobs HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`
  expect(await raw(world, long)).toEqual({ status: 431, body: badRequest })
})

test('paths that are too long, malformed or unknown, and other content types, as well', async () => {
  const world = await World.start()
  const bad = async (path: string, asked: Parameters<World['ask']>[1] = {}) => {
    const { status, body } = await world.ask(path, asked)
    return [status, body.error?.code]
  }
  expect(await bad(`/v1/jobs/${'j'.repeat(200)}`)).toEqual([414, 'BAD_REQUEST'])
  expect(await bad('/v1/jobs/%zz')).toEqual([400, 'BAD_REQUEST'])
  expect(await bad('/v1/nothing')).toEqual([404, 'ROUTE_NOT_FOUND'])
  expect(await bad('/v1/jobs', { method: 'OPTIONS' })).toEqual([405, 'ROUTE_NOT_FOUND'])
  const xml = { method: 'POST', body: '<a/>', headers: { 'content-type': 'text/xml' } }
  expect(await bad('/v1/jobs', xml)).toEqual([400, 'BAD_REQUEST'])
})

test('a body that comes a byte at a time is answered with 408 and cut off after 30 s, and not before', async () => {
  const world = await World.start()
  const { hostname, port } = new URL(world.url)
  const socket = connect(Number(port), hostname)
  // Without a key it would be refused before its body is read.
  socket.write(
    `POST /v1/jobs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${apiKey}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n`,
  )
  const drip = setInterval(() => socket.write(' '), 500)
  onTestFinished(() => {
    clearInterval(drip)
    socket.destroy()
  })
  const beganMs = performance.now()
  const ownMs = startOwnTime()
  socket.on('error', () => undefined)
  let answer = ''
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString()
  })
  await once(socket, 'close')
  expect(answerOf(answer)).toEqual({ status: 408, body: badRequest })
  // Node checks at intervals, from some moment on: not long before the limit, and not long after it.
  expect(performance.now() - beganMs).toBeGreaterThan(HTTP_REQUEST_MS_MAX - HTTP_CHECK_MS)
  expect(ownMs()).toBeLessThan(HTTP_REQUEST_MS_MAX + 5 * HTTP_CHECK_MS)
})
