import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { connect } from '../../client/connect.ts'
import { openJob } from '../../client/index.ts'
import { fetchTrusting } from '../../protocol/transport/trusting-fetch.ts'
import { makeCertificates } from '../fixture/certificates.ts'
import { Cluster, configFile } from '../fixture/mayfly-up.ts'

/** The nodes that have reported. */
async function activeNodes(cluster: Cluster): Promise<{ id: string; address: string }[]> {
  const { nodes } = await cluster.api<{ nodes: { id: string; state: string; address: string }[] }>(
    '/v1/nodes',
  )
  return nodes.filter(({ state }) => state === 'active')
}

/** The serial number of the certificate that a server shows. */
async function serialAt(address: string, ca: string): Promise<string> {
  const port = Number(address.split(':').at(-1))
  const socket = connectTls({ host: '127.0.0.1', port, ca })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

test('`mayfly up --tls` encrypts every listener with a CA of its own, which the other verbs know', async () => {
  const config = {
    nodeClasses: [
      { name: 'small', cores: 1, ramBytes: 2 ** 28, bytesPerSecond: 1e9, pricePerHour: 0, nodesMax: 2 },
    ],
    warmNodes: 2,
  }
  const cluster = await Cluster.start(['--tls', '--config', await configFile(config)])
  const { hostname, port, protocol } = new URL(cluster.url)
  expect([protocol, hostname]).toEqual(['https:', '127.0.0.1'])
  const ca = cluster.ca as string
  const job = await (await cluster.connect()).registerJob('secret')
  const value = randomBytes(3_000_000)
  await job.put('key', value)
  await expect
    .poll(async () => (await cluster.nodes()).filter(({ state }) => state === 'active').length)
    .toBe(2)
  const [from] = await cluster.nodesOf(job)
  // The bytes go from one node to the other.
  await cluster.drain(from?.id ?? '')
  await cluster.event('node.stopped', from?.id ?? '')
  expect((await job.get('key')).equals(value)).toBe(true)
  expect(await cluster.mayfly('jobs')).toContain('secret')
  expect(await cluster.mayfly('ls', 'secret')).toContain('key')
  expect(await cluster.mayfly('env', '--dir', cluster.dir)).toContain(
    `export MAYFLY_CA_FILE='${cluster.caFile}'`,
  )
  expect(await cluster.mayfly('get', '--dir', cluster.dir, 'secret', 'key', '/dev/null')).toBe('')
  const nodes = await activeNodes(cluster)
  const targets = await cluster.api<{ targets: string[]; labels: object }[]>('/v1/metrics/targets')
  for (const { labels } of targets) expect(labels).toMatchObject({ __scheme__: 'https' })
  for (const address of [...nodes.map((node) => node.address), ...targets.flatMap(({ targets: at }) => at)])
    expect(await serialAt(address, ca)).toMatch(/^[0-9A-F]+$/)
  const [probes = ''] = targets[0]?.targets ?? []
  expect((await fetchTrusting(new URL(`https://${probes}/readyz`), {}, ca)).status).toBe(200)
  await expect(
    (await connect(cluster.url, { apiKey: cluster.apiKey, ca: (await makeCertificates()).ca })).jobs(),
  ).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: expect.stringContaining('of a CA that is not trusted here'),
  })
  await expect(
    (await connect(cluster.url.replace('127.0.0.1', 'localhost'), { apiKey: cluster.apiKey })).jobs(),
  ).rejects.toMatchObject({ code: 'TLS_FAILED' })
  await expect(
    (await connect(`http://127.0.0.1:${port}`, { apiKey: cluster.apiKey })).jobs(),
  ).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: 'This port speaks TLS; use an https:// URL',
  })
})

test('a URL with https for a controller without TLS is refused by name', async () => {
  const cluster = await Cluster.start()
  const mayfly = await connect(cluster.url.replace('http:', 'https:'), { apiKey: cluster.apiKey })
  await expect(mayfly.jobs()).rejects.toMatchObject({
    code: 'TLS_FAILED',
    reason: expect.stringContaining('does not speak TLS'),
  })
})

test('a certificate that is replaced under load fails no call, and every process shows it within seconds', async () => {
  const files = await makeCertificates()
  const { certFile, keyFile, caFile, ca } = files
  const cluster = await Cluster.start(['--config', await configFile({ tls: { certFile, keyFile, caFile } })])
  const job = await (await cluster.connect()).registerJob('steady')
  const value = randomBytes(200_000)
  let isOver = false
  let calls = 0
  const load = Array.from({ length: 4 }, async (_, lane) => {
    while (!isOver) {
      await job.put(`key/${lane}`, value)
      expect((await job.get(`key/${lane}`)).equals(value)).toBe(true)
      calls++
    }
  })
  const nodes = await activeNodes(cluster)
  const targets = await cluster.api<{ targets: string[] }[]>('/v1/metrics/targets')
  const addresses = [
    new URL(cluster.url).host,
    ...nodes.map(({ address }) => address),
    ...targets.flatMap(({ targets: at }) => at),
  ]
  const shown = () => Promise.all(addresses.map((address) => serialAt(address, ca)))
  const [before] = await shown()
  await files.renew()
  await expect.poll(async () => (await shown()).includes(before as string), { timeout: 20_000 }).toBe(false)
  expect(new Set(await shown()).size).toBe(1)
  // Processes that start from now on, and those that connect anew, use it.
  await cluster.kill('controller')
  await cluster.killMetadata('m-1')
  await job.createBucket('anew')
  const fresh = await openJob(job.ticket, { ca })
  await fresh.put('fresh', value)
  await fresh.close()
  const seen = calls
  await expect.poll(() => calls).toBeGreaterThan(seen + 8)
  isOver = true
  await Promise.all(load)
})

test('a client without TLS is answered at once on every port that speaks it', async () => {
  const cluster = await Cluster.start(['--tls'])
  const { port } = new URL(cluster.url)
  const socket = connectTcp(Number(port), '127.0.0.1')
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 [\s\S]*This port speaks TLS; use an https:\/\/ URL/)
})
