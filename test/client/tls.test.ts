import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, readFileSync } from 'node:fs'
import { createServer } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { formatTicket, parseTicket } from '../../protocol/model/ticket.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { makeCertificates, openCertificates } from '../fixture/certificates.ts'
import { open, Planes } from '../fixture/planes.ts'

const MIB = 2 ** 20

/** A job on planes that speak TLS. */
async function startTls(of: Parameters<typeof makeCertificates>[0] = {}, nodes = 1) {
  const { made, certificates } = await openCertificates(of)
  const planes = await Planes.start(systemRuntime, certificates)
  const started = []
  for (let number = 0; number < nodes; number++) started.push(await planes.startNode())
  const ticket = await planes.createJob('j-1', started)
  return { made, certificates, planes, nodes: started, ticket }
}

test('a ticket says that TLS is spoken and to which name, and the SDK uses it for every operation', async () => {
  const { made, ticket } = await startTls({}, 2)
  expect(parseTicket(ticket).tls).toBe('')
  expect(Buffer.byteLength(ticket)).toBeLessThan(1024)
  const job = await open(ticket, { ca: made.ca })
  for (const bytes of [0, 1, 1024, 64 * 1024, MIB, 3 * MIB]) {
    const value = randomBytes(bytes)
    await job.put(`key/${bytes}`, value)
    expect((await job.get(`key/${bytes}`)).equals(value)).toBe(true)
  }
  await job.createBucket('other')
  await job.append('log', 'line')
  const keys = []
  for await (const { key } of job.list({ prefix: 'key/' })) keys.push(key)
  expect(keys).toHaveLength(6)
})

test.each([
  ['has no CA', undefined, {}, 'of a CA that is not trusted here'],
  ['has another CA', 'other', {}, 'of a CA that is not trusted here'],
  ['meets an expired certificate', 'own', { expired: true }, 'that has expired'],
  ['meets another name', 'own', { hosts: ['elsewhere.example'] }, 'for elsewhere.example, not for 127.0.0.1'],
] as const)('a function that %s is told so at once', async (_, trusted, of, says) => {
  const valid = await openCertificates()
  const planes = await Planes.start(systemRuntime, valid.certificates)
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const shown = await makeCertificates(of)
  await valid.made.renew()
  copyFileSync(shown.keyFile, valid.made.keyFile)
  copyFileSync(shown.certFile, valid.made.certFile)
  valid.certificates.refresh()
  const ca = trusted === undefined ? {} : { ca: trusted === 'own' ? shown.ca : (await makeCertificates()).ca }
  const job = await open(ticket, ca)
  const beganMs = performance.now()
  await expect(job.put('key', 'value')).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: expect.stringContaining(`has a certificate ${says}`),
  })
  expect(performance.now() - beganMs).toBeLessThan(5_000)
})

test('MAYFLY_CA_FILE names the CA where no option does, and is read for each connection', async () => {
  const { made, ticket } = await startTls()
  process.env.MAYFLY_CA_FILE = '/nowhere/ca.pem'
  onTestFinished(() => {
    delete process.env.MAYFLY_CA_FILE
  })
  const missing = await open(ticket)
  await expect(missing.put('key', 'value')).rejects.toThrow(
    'The file of the CA, /nowhere/ca.pem, cannot be read',
  )
  process.env.MAYFLY_CA_FILE = made.caFile
  const job = await open(ticket)
  await job.put('key', 'value')
  expect((await job.get('key')).toString()).toBe('value')
})

test('a ticket without TLS for servers with TLS, and the other way round, fails at once', async () => {
  const withTls = await startTls()
  const { tls, ...parsed } = parseTicket(withTls.ticket)
  const plain = await openJob(formatTicket(parsed))
  onTestFinished(() => plain.close())
  await expect(plain.put('key', 'value')).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: 'This port speaks TLS, and the client does not; use a ticket of now',
  })
  const planes = await Planes.start()
  const node = await planes.startNode()
  const other = parseTicket(await planes.createJob('j-2', [node]))
  const encrypted = await openJob(formatTicket({ ...other, tls }), { ca: withTls.made.ca })
  onTestFinished(() => encrypted.close())
  await expect(encrypted.put('key', 'value')).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: expect.stringContaining('does not speak TLS'),
  })
})

/** A server of another cluster: its certificate is of another CA. */
async function listenAsOther(address: string): Promise<void> {
  const { keyFile, certFile } = await makeCertificates()
  const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (socket) =>
    socket.destroy(),
  )
  // What the other side says of the handshake.
  server.on('tlsClientError', () => undefined)
  server.listen(Number(address.split(':')[1]), '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
}

describe('when a server of another CA has the address of a node that has ended', () => {
  test.each(['before', 'after'] as const)(
    'calls go to the node that has its slots, %s they have failed',
    async (when) => {
      const { made, planes, nodes, ticket } = await startTls({}, 2)
      const [ended] = nodes as [(typeof nodes)[0]]
      await ended.stop()
      await listenAsOther(ended.address)
      let died: Promise<unknown> | null = null
      const tell = () => {
        died ??= planes.ask(placementOperations.nodesDied, { nodes: [ended.id] })
        return died
      }
      if (when === 'before') await tell()
      const failed: string[] = []
      const job = await open(ticket, {
        ca: made.ca,
        onRetry: ({ error }) => {
          failed.push(error.code)
          void tell()
        },
      })
      const keys = Array.from({ length: 20 }, (_, key) => `key/${key}`)
      await Promise.all(keys.map((key) => job.put(key, key)))
      for (const key of keys) expect((await job.get(key)).toString()).toBe(key)
      expect(failed).toContain('TLS_FAILED')
    },
  )

  test('and metadata still names it, a call fails with the reason at its deadline', async () => {
    const { made, nodes, ticket } = await startTls()
    const [ended] = nodes as [(typeof nodes)[0]]
    await ended.stop()
    await listenAsOther(ended.address)
    const job = await open(ticket, { ca: made.ca })
    const expected = {
      code: 'TLS_FAILED',
      reason: expect.stringContaining(`The server at ${ended.address} has a certificate of a CA`),
    }
    const beganMs = performance.now()
    await expect(job.put('key', 'value', { deadlineMs: 1_000 })).rejects.toMatchObject(expected)
    await expect(job.get('key', { deadlineMs: 1_000 })).rejects.toMatchObject(expected)
    expect(performance.now() - beganMs).toBeGreaterThan(1_000)
  })
})

test('the metadata server is found where it is now if a server of another CA has its address', async () => {
  const { made, planes, nodes, ticket } = await startTls({}, 2)
  const before = planes.metadataAddress
  await planes.moveMetadata()
  await listenAsOther(before)
  for (const { node } of nodes)
    await expect.poll(() => [...node.ownership.metadataServers]).toEqual([planes.metadataAddress])
  const job = await open(ticket, { ca: made.ca })
  await job.createBucket('later')
  await job.put('key', 'in a bucket', { bucket: 'later' })
  expect((await job.get('key', { bucket: 'later' })).toString()).toBe('in a bucket')
})

test('certificates that are replaced again and again under load fail no call', async () => {
  const { made, certificates, ticket } = await startTls({}, 2)
  const job = await open(ticket, { ca: made.ca })
  const value = randomBytes(100_000)
  let calls = 0
  let isOver = false
  const load = Array.from({ length: 8 }, async (_, lane) => {
    while (!isOver) {
      await job.put(`key/${lane}`, value)
      expect((await job.get(`key/${lane}`)).equals(value)).toBe(true)
      calls++
    }
  })
  for (let round = 0; round < 5; round++) {
    await made.renew()
    expect(certificates.refresh()).toBe(true)
    const fresh = await openJob(ticket, { ca: made.ca })
    await fresh.put(`fresh/${round}`, value)
    await fresh.close()
    const before = calls
    await expect.poll(() => calls).toBeGreaterThan(before + 8)
  }
  isOver = true
  await Promise.all(load)
})
