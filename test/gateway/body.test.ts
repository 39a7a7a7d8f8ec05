import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Body } from '../../gateway/http/body.ts'
import { Paces } from '../../gateway/http/pace.ts'
import { systemRuntime } from '../../protocol/runtime.ts'

const MIB = 2 ** 20

test('a body that is streamed holds only its current pieces', async () => {
  const paces = new Paces(systemRuntime.clock)
  onTestFinished(() => paces.stop())
  const before = process.memoryUsage().arrayBuffers
  let mostBytes = 0
  const server = createServer(async (incoming, outgoing) => {
    const headers = new Map([['content-length', String(incoming.headers['content-length'])]])
    const payload = { kind: 'plain', sha256: null } as const
    const body = new Body({ incoming, headers, payload, paces, onBegin: () => undefined })
    for await (const _ of body.stream())
      mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers - before)
    outgoing.end(String(body.verified.bytes))
  })
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const piece = Buffer.alloc(MIB)
  const headers = { 'content-length': 512 * MIB }
  const sending = request({ port, host: '127.0.0.1', method: 'PUT', headers, agent: false })
  const answered = once(sending, 'response')
  await pipeline(Readable.from(Array.from({ length: 512 }, () => piece)), sending)
  const [response] = await answered
  expect(String(await response.toArray())).toBe(String(512 * MIB))
  expect(mostBytes).toBeLessThan(256 * MIB)
})
