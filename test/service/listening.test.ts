import { once } from 'node:events'
import { expect, test } from 'vitest'
import type { Link } from '../../protocol/transport/link.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { tcpNetwork } from '../../service/network/listener.ts'
import {
  advertisedAddress,
  isLoopback,
  isUnspecified,
  parseAdvertised,
  readNetwork,
} from '../../service/network/listening.ts'

const everywhere = ['0.0.0.0', '0', '::', '0:0:0:0:0:0:0:0', '::0', '::ffff:0.0.0.0', '0x0']
const loopback = ['127.0.0.1', '127.9.8.7', '::1', '0:0::1', 'localhost', '::ffff:127.0.0.1', 'LOCALHOST']

test.each(everywhere)('%s stands for every interface, and is not loopback', (host) => {
  expect([isUnspecified(host), isLoopback(host)]).toEqual([true, false])
})

test.each(loopback)('%s is loopback', (host) => {
  expect([isUnspecified(host), isLoopback(host)]).toEqual([false, true])
})

test.each(['10.0.0.1', 'fd00::1', 'host.example', 'localhost.example', '127.0.0.1.example', '::2'])(
  '%s is an address of this machine alone',
  (host) => {
    expect([isUnspecified(host), isLoopback(host)]).toEqual([false, false])
  },
)

test.each([
  ['10.0.0.1', { host: '10.0.0.1', port: null }],
  ['10.0.0.1:70', { host: '10.0.0.1', port: 70 }],
  ['fd00::1', { host: 'fd00::1', port: null }],
  ['[fd00::1]', { host: 'fd00::1', port: null }],
  ['[fd00::1]:70', { host: 'fd00::1', port: 70 }],
  ['node-1.mayfly.svc', { host: 'node-1.mayfly.svc', port: null }],
  ['[node]', null],
  ['http://node', null],
  ['node:0', null],
  ['a b', null],
  ['-node', null],
])("'%s' is advertised as %j", (text, advertised) => {
  expect(parseAdvertised(text)).toEqual(advertised)
})

test.each(everywhere)('%s can be bound only with another address to advertise', (host) => {
  const MAYFLY_LISTEN = host.includes(':') ? `[${host}]:70` : `${host}:70`
  const env = { MAYFLY_LISTEN, MAYFLY_INSECURE: 'true' }
  expect(() => readNetwork(env)).toThrow(/set MAYFLY_ADVERTISE to an address or a DNS name/)
  expect(() => readNetwork({ ...env, MAYFLY_ADVERTISE: host })).toThrow(
    /MAYFLY_ADVERTISE is '.*', which stands/,
  )
  const { listen } = readNetwork({ ...env, MAYFLY_ADVERTISE: 'not-yet-there.example' })
  expect(advertisedAddress(listen, 70)).toBe('not-yet-there.example:70')
})

test('an address beyond loopback needs consent, by whichever listener', () => {
  expect(() => readNetwork({ MAYFLY_LISTEN: '10.0.0.1:70' })).toThrow(
    'Other machines could connect to 10.0.0.1:70, and object bytes and API keys would cross the network unencrypted. Set a certificate for TLS, listen on 127.0.0.1, or allow it with MAYFLY_INSECURE=true',
  )
  const probes = { MAYFLY_METRICS_LISTEN: '[fd00::1]:71' }
  expect(() => readNetwork(probes)).toThrow(/MAYFLY_INSECURE=true/)
  expect(readNetwork({ ...probes, MAYFLY_INSECURE: 'true' })).toMatchObject({
    listen: { host: '127.0.0.1', port: 0 },
    probes: { host: 'fd00::1', port: 71 },
    isExposed: true,
  })
  expect(readNetwork({ MAYFLY_LISTEN: '[::1]:70' })).toMatchObject({ isExposed: false })
  expect(() => readNetwork({ MAYFLY_INSECURE: 'yes' })).toThrow("MAYFLY_INSECURE is 'yes', not true or false")
})

test('a port that is advertised is that of the listener, not of the probes', () => {
  const { listen, probes } = readNetwork({ MAYFLY_ADVERTISE: '[fd00::1]:9000' })
  expect(advertisedAddress(listen, 70)).toBe('[fd00::1]:9000')
  expect(advertisedAddress(probes, 71)).toBe('[fd00::1]:71')
})

test('a listener on ::1 is reached at the address that it prints', async () => {
  const accepted: Link[] = []
  const listener = await tcpNetwork.listen({ host: '::1', port: 0 }, (link) => accepted.push(link))
  expect(listener.address).toMatch(/^\[::1\]:\d+$/)
  const link = await dialTcp(listener.address)
  expect(link.socket.remoteAddress).toBe('::1')
  link.destroy()
  await once(link.socket, 'close')
  for (const each of accepted) each.destroy()
  await listener.close()
})
