import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../protocol/runtime.ts'
import { CallerPool } from '../../protocol/transport/caller-pool.ts'
import type { Link } from '../../protocol/transport/link.ts'
import { dialTcp, TcpLink } from '../../protocol/transport/tcp.ts'
import { dialTls } from '../../protocol/transport/tls.ts'
import { Certificates } from '../../service/network/certificates.ts'
import { makeHttpServer } from '../../service/network/http-server.ts'
import { networkOf, tcpNetwork } from '../../service/network/listener.ts'
import { beginTls } from '../../service/network/tls-listener.ts'
import { makeCertificates, openCertificates } from '../fixture/certificates.ts'

const at = { host: '127.0.0.1', port: 0 }

/** A server that speaks TLS and passes on its links. */
async function serve(certificates: Certificates, accept: (link: TcpLink) => void = (link) => link.destroy()) {
  const listener = await networkOf(certificates).listen(at, (link) => accept(link as TcpLink))
  onTestFinished(() => listener.close())
  return listener.address
}

/** Receives `bytes` bytes into one buffer. */
function receive(link: Link, bytes: number): Promise<Buffer> {
  const memory = Buffer.alloc(bytes)
  return new Promise((resolve, reject) => {
    let received = 0
    link.open({
      space: () => memory.subarray(received),
      filled: (more) => {
        received += more
        if (received === bytes) resolve(memory)
      },
      drained: () => undefined,
      silent: () => undefined,
      closed: (cause) => reject(cause ?? new Error(`closed after ${received} bytes`)),
    })
  })
}

const message = randomBytes(3_000_000)

test('both ends of a connection with TLS receive into memory of their readers', async () => {
  const { certificates } = await openCertificates()
  const links: TcpLink[] = []
  const address = await serve(certificates, (link) => links.push(link as TcpLink))
  const client = await dialTls(certificates.trust)(address)
  const server = links[0] as TcpLink
  let pieces = 0
  for (const { socket } of [client, server]) {
    expect(socket).toBeInstanceOf(TLSSocket)
    socket.on('data', () => pieces++)
  }
  const [atServer, atClient] = [receive(server, message.length), receive(client, message.length)]
  client.write([message.subarray(0, 10), message.subarray(10)], () => undefined)
  server.write([message], () => undefined)
  expect((await atServer).equals(message)).toBe(true)
  expect((await atClient).equals(message)).toBe(true)
  expect(pieces).toBe(0)
  expect((client.socket as TLSSocket).getProtocol()).toBe('TLSv1.3')
  client.destroy()
})

test('a connection whose handle cannot be taken over is served with data events', async () => {
  const { certificates } = await openCertificates()
  let received: Promise<Buffer> = Promise.resolve(Buffer.alloc(0))
  const server = createServer((socket) => {
    socket.once('data', (first: Buffer) => {
      socket.pause()
      // What Node would be without its undocumented handle.
      const accepted = new Proxy(socket, {
        get: (target, name) => {
          const value = name === '_handle' ? undefined : Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
      const link = new TcpLink((receiving) => beginTls(accepted, { first, receiving, certificates }))
      received = receive(link, message.length)
    })
  }).listen(at)
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = await dialTls(certificates.trust)(`127.0.0.1:${port}`)
  client.write([message], () => undefined)
  expect((await received).equals(message)).toBe(true)
  client.destroy()
})

test.each([
  ['has expired', { expired: true }, 'own', 'has a certificate that has expired'],
  [
    'is of another CA',
    {},
    'other',
    'has a certificate of a CA that is not trusted here; name it with MAYFLY_CA_FILE',
  ],
  ['is of a CA that Node does not know', {}, 'none', 'has a certificate of a CA that is not trusted here'],
  [
    'is for another name',
    { hosts: ['a.example', '10.9.8.7'] },
    'own',
    'has a certificate for a.example, 10.9.8.7, not for 127.0.0.1',
  ],
] as const)('a certificate that %s is refused at once, by name', async (_, of, trusted, says) => {
  const { made, certificates } = await openCertificates(of)
  const address = await serve(certificates)
  const other = trusted === 'other' ? (await makeCertificates()).ca : null
  const dial = dialTls({ name: '', ca: () => (trusted === 'own' ? made.ca : other) })
  await expect(dial(address)).rejects.toMatchObject({
    code: 'TLS_FAILED',
    retryable: false,
    reason: expect.stringContaining(`The server at ${address} ${says}`),
  })
})

test('the name that a client expects may differ from the address', async () => {
  const { made, certificates } = await openCertificates({ hosts: ['nodes.example'] })
  const address = await serve(certificates)
  const link = await dialTls({ name: 'nodes.example', ca: () => made.ca })(address)
  link.destroy()
  await expect(dialTls({ name: 'other.example', ca: () => made.ca })(address)).rejects.toThrow(
    'has a certificate for nodes.example, not for other.example',
  )
})

test('a client with TLS learns at once that a port speaks none', async () => {
  const listener = await tcpNetwork.listen(at, (link) => {
    link.open({
      space: () => Buffer.alloc(1024),
      filled: () => link.destroy(),
      drained: () => undefined,
      silent: () => undefined,
      closed: () => undefined,
    })
    link.write([Buffer.from('26000000000000000000000003000000', 'hex')], () => undefined)
  })
  onTestFinished(() => listener.close())
  const { made } = await openCertificates()
  await expect(dialTls({ name: '', ca: () => made.ca })(listener.address)).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: `The server at ${listener.address} does not speak TLS`,
  })
})

test('a client without TLS learns at once that a port speaks TLS', async () => {
  const { certificates } = await openCertificates()
  const address = await serve(certificates)
  const pool = new CallerPool({ dial: dialTcp, runtime: systemRuntime, token: () => Buffer.alloc(64) })
  const beganMs = performance.now()
  const caller = await pool.to(address)
  await expect(caller.server).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: 'This port speaks TLS, and the client does not; use a ticket of now',
  })
  expect(performance.now() - beganMs).toBeLessThan(2_000)
})

test('TLS 1.2 is not spoken', async () => {
  const { made, certificates } = await openCertificates()
  const [host = '', port] = (await serve(certificates)).split(':')
  const socket = connectTls({ host, port: Number(port), ca: made.ca, maxVersion: 'TLSv1.2' })
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
})

test('certificates are read again when they change, and connections that are open stay', async () => {
  const { made, certificates } = await openCertificates()
  const links: TcpLink[] = []
  const address = await serve(certificates, (link) => links.push(link as TcpLink))
  const server = makeHttpServer(certificates, {}).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const dial = dialTls(certificates.trust)
  const serialOf = (link: TcpLink): string => (link.socket as TLSSocket).getPeerCertificate().serialNumber
  const [before, beforeHttp] = [await dial(address), await dial(`127.0.0.1:${port}`)]
  expect(certificates.refresh()).toBe(false)
  await made.renew()
  expect(certificates.refresh()).toBe(true)
  expect(certificates.shown.cert).toBe(readFileSync(made.certFile, 'utf8'))
  const [after, afterHttp] = [await dial(address), await dial(`127.0.0.1:${port}`)]
  expect(serialOf(after)).not.toBe(serialOf(before))
  expect(serialOf(afterHttp)).toBe(serialOf(after))
  await expect.poll(() => links.length).toBe(2)
  const received = receive(links[0] as TcpLink, message.length)
  before.write([message], () => undefined)
  expect((await received).equals(message)).toBe(true)
  for (const link of [before, after, beforeHttp, afterHttp]) link.destroy()
})

test('files that do not belong together are refused by name, and the former ones stay in use', async () => {
  const { made, certificates } = await openCertificates()
  const other = await makeCertificates()
  const { cert } = certificates.shown
  copyFileSync(other.certFile, made.certFile)
  expect(() => certificates.refresh()).toThrow(`The key in ${made.keyFile} is not that of the certificate`)
  expect(certificates.shown.cert).toBe(cert)
  const address = await serve(certificates)
  const link = await dialTls({ name: '', ca: () => made.ca })(address)
  link.destroy()
  copyFileSync(other.keyFile, made.keyFile)
  expect(certificates.refresh()).toBe(true)
})

test.each([
  ['a certificate that is none', 'certFile', 'nonsense', 'does not hold a certificate in PEM'],
  ['a key that is none', 'keyFile', 'nonsense', 'does not hold a private key without a password in PEM'],
] as const)('%s is refused at the start', async (_, file, text, says) => {
  const made = await makeCertificates()
  writeFileSync(made[file], text)
  expect(() => new Certificates(made)).toThrow(`${made[file]} ${says}`)
})

test('a key that other users may read is refused, and a file that is missing is named', async () => {
  const made = await makeCertificates()
  expect(() => new Certificates({ ...made, caFile: '/nowhere/ca.pem' })).toThrow(
    '/nowhere/ca.pem, cannot be read',
  )
  expect(() => new Certificates({ ...made, certFile: '/nowhere/cert.pem' })).toThrow(
    '/nowhere/cert.pem cannot be read',
  )
  chmodSync(made.keyFile, 0o644)
  expect(() => new Certificates(made)).toThrow(`run \`chmod 600 ${made.keyFile}\``)
})

test('a certificate that has expired is reported as a failing task', async () => {
  const { certificates } = await openCertificates({ expired: true })
  expect(() => certificates.requireValid(Date.now())).toThrow(/The certificate in .* expired at 20/)
  expect(() => certificates.requireValid(0)).not.toThrow()
})

test('a client that says nothing to a port with TLS is disconnected, and holds nothing', async () => {
  const { certificates } = await openCertificates()
  let links = 0
  const listener = await networkOf(certificates).listen(at, () => links++)
  const silent = (await dialTcp(listener.address)).socket as Socket
  const closed = once(silent.resume(), 'close')
  await listener.close()
  await closed
  expect(links).toBe(0)
})
