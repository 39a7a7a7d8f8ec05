import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GetObjectCommand, ListBucketsCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openJob } from '../../client/index.ts'
import { s3KeyOf } from '../../protocol/model/s3-key.ts'
import { parseTicket } from '../../protocol/model/ticket.ts'
import { Cluster, sharedCluster } from '../fixture/mayfly-up.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { clientOf, failureOf, severalProcesses } from './support/s3-servers.ts'

const command = new URL('../../dist/cli/main.js', import.meta.url).pathname
const region = 'us-east-1'
const shared = sharedCluster(severalProcesses)

/** The value of an exported variable, as a shell has it. */
async function variables(exports: string): Promise<Record<string, string>> {
  const lines = exports.split('\n').filter((line) => line.startsWith('export '))
  const { stdout } = await promisify(execFile)('bash', ['-c', `${lines.join('\n')}\nenv`])
  return Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)))
}

test('register --s3 prints what S3 clients need, ticket --s3 the same, and one that reads alone', async () => {
  const cluster = await shared()
  const printed = await variables(await cluster.mayfly('register', 'keys', '--s3'))
  expect(printed.AWS_ENDPOINT_URL).toBe(cluster.s3)
  expect(await variables(await cluster.mayfly('ticket', 'keys', '--s3'))).toMatchObject({
    AWS_ACCESS_KEY_ID: printed.AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: printed.AWS_SECRET_ACCESS_KEY,
  })
  const json = JSON.parse(await cluster.mayfly('register', 'json', '--s3', '--json'))
  expect(json).toMatchObject({ name: 'json', s3: { endpoint: cluster.s3, accessKeyId: expect.any(String) } })
  const reader = JSON.parse(await cluster.mayfly('ticket', 'json', '--s3', '--read', '--json'))
  const put = new PutObjectCommand({ Bucket: 'default', Key: 'a', Body: 'x' })
  await clientOf({ region, ...json.s3 }).send(put)
  expect(await failureOf(clientOf({ region, ...reader }).send(put))).toEqual({
    code: 'AccessDenied',
    status: 403,
  })
  await clientOf({ region, ...reader }).send(new GetObjectCommand({ Bucket: 'default', Key: 'a' }))
})

test('what S3 puts the SDK reads, and the other way round; a presigned URL needs no key', async () => {
  const cluster = await shared()
  const mayfly = await cluster.connect()
  await using job = await mayfly.registerJob('shared')
  const s3 = clientOf({ region, ...(await job.s3Credentials()) })
  await s3.send(
    new PutObjectCommand({ Bucket: 'default', Key: 'by S3', Body: 'x', Metadata: { color: 'red' } }),
  )
  expect((await job.get('by S3')).toString()).toBe('x')
  expect((await job.stat('by S3'))?.metadata).toMatchObject({ color: 'red' })
  await job.put('by SDK', 'y', { metadata: { color: 'blue' }, ttlSeconds: 600 })
  const got = await s3.send(new GetObjectCommand({ Bucket: 'default', Key: 'by SDK' }))
  expect(await got.Body?.transformToString()).toBe('y')
  expect(got).toMatchObject({
    Metadata: { color: 'blue' },
    Expiration: expect.stringContaining('expiry-date="'),
  })
  expect(got.ETag).toMatch(/^"[0-9a-f]{32}-1"$/)
  await job.append('by S3', 'more')
  expect((await s3.send(new GetObjectCommand({ Bucket: 'default', Key: 'by S3' }))).ETag).toMatch(/-1"$/)
  const url = await job.presign('by URL é', { method: 'PUT', seconds: 60 })
  expect((await fetch(url, { method: 'PUT', body: 'z' })).status).toBe(200)
  expect((await fetch(url)).status, 'a URL for another method').toBe(403)
  expect(await (await fetch(await job.presign('by URL é'))).text()).toBe('z')
  expect((await fetch((await job.presign('by URL é')).replace('by%20URL', 'other'))).status).toBe(403)
  await expect(job.presign('../a')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
})

test('a job that was opened with a ticket presigns with the rights of the ticket, and not beyond its end', async () => {
  const cluster = await shared()
  const registered = await (await cluster.connect()).registerJob('presigned')
  onTestFinished(() => registered.close())
  await registered.put('in/a', 'bytes')
  const rights = { write: false, prefix: 'in/', expiresInSeconds: 100 }
  const job = await openJob(await registered.issueTicket(rights))
  onTestFinished(() => job.close())
  const { s3: endpoint } = cluster
  expect(await (await fetch(await job.presign('in/a', { endpoint }))).text()).toBe('bytes')
  const put = await job.presign('in/a', { endpoint, method: 'PUT' })
  expect((await fetch(put, { method: 'PUT', body: 'x' })).status).toBe(403)
  expect((await fetch(await job.presign('out', { endpoint }))).status).toBe(403)
  await expect(job.presign('in/a', { endpoint, seconds: 200 })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    reason: expect.stringContaining('the ticket expires in'),
  })
  await expect(job.presign('in/a')).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    reason: expect.stringContaining('AWS_ENDPOINT_URL is not set'),
  })
  await expect(job.presign('in/a', { endpoint: 'nowhere' })).rejects.toMatchObject({
    reason: expect.stringContaining("endpoint: it is 'nowhere'"),
  })
  vi.stubEnv('AWS_ENDPOINT_URL', `${endpoint}/`)
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(await (await fetch(await job.presign('in/a'))).text()).toBe('bytes')
})

test('metadata mayfly-ttl-seconds is the time to live of an object', async () => {
  const cluster = await shared()
  await using job = await (await cluster.connect()).registerJob('ttl')
  const s3 = clientOf({ region, ...(await job.s3Credentials()) })
  const put = (ttl: string) =>
    new PutObjectCommand({ Bucket: 'default', Key: 'a', Body: 'x', Metadata: { 'mayfly-ttl-seconds': ttl } })
  expect((await failureOf(s3.send(put('soon')))).code).toBe('InvalidArgument')
  await s3.send(put('100'))
  const { expiresAt } = (await job.stat('a')) ?? {}
  expect(Math.round(((expiresAt?.getTime() ?? 0) - Date.now()) / 20_000)).toBe(5)
})

test('keys of a job that has ended are InvalidAccessKeyId, also while requests run', async () => {
  const cluster = await shared()
  const job = await (await cluster.connect()).registerJob('ending')
  const s3 = clientOf({ region, ...(await job.s3Credentials()) }, { maxAttempts: 1 })
  const codes = new Set<string>()
  let ended = false
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let index = 0; !ended || index < 10; index++) {
      const call = s3.send(
        new PutObjectCommand({ Bucket: 'default', Key: `${lane}/${index}`, Body: 'x'.repeat(5000) }),
      )
      await call.catch(({ name }: Error) => codes.add(name))
      if (codes.size > 0 && ended) return
    }
  })
  await s3.send(new ListBucketsCommand({}))
  await job.deregister()
  ended = true
  await Promise.all(lanes)
  expect([...codes]).toEqual(['InvalidAccessKeyId'])
  expect(await failureOf(s3.send(new ListBucketsCommand({})))).toEqual({
    code: 'InvalidAccessKeyId',
    status: 403,
  })
})

test('a gateway for one ticket serves its job alone, without a secret and without the controller', async () => {
  const cluster = await shared()
  const mayfly = await cluster.connect()
  await using job = await mayfly.registerJob('sidecar')
  await using other = await mayfly.registerJob('other')
  const ticket = await job.issueTicket()
  const child = spawn(process.execPath, [command, 'gateway', '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, MAYFLY_TICKET: ticket },
  })
  onTestFinished(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  })
  let printed = ''
  for await (const piece of child.stderr) {
    printed += piece
    if (printed.includes('"ready"')) break
  }
  const [, address = ''] = /"address":"([^"]+)"/.exec(printed) ?? []
  const own = clientOf({ region, endpoint: `http://${address}`, ...s3KeyOf(parseTicket(ticket).token) })
  await own.send(new PutObjectCommand({ Bucket: 'default', Key: 'a', Body: 'beside' }))
  expect((await job.get('a')).toString()).toBe('beside')
  const foreign = clientOf({ region, ...(await other.s3Credentials()), endpoint: `http://${address}` })
  expect((await failureOf(foreign.send(new ListBucketsCommand({})))).code).toBe('InvalidAccessKeyId')
})

test('the access log has a line for each request, and neither secrets nor signatures', async () => {
  const file = join(await tempDir(), 'access.log')
  const cluster = await Cluster.start([], { env: { MAYFLY_S3_ACCESS_LOG: file } })
  await using job = await (await cluster.connect()).registerJob('logged')
  const { secretAccessKey } = await job.s3Credentials()
  const url = await job.presign('a', { method: 'PUT' })
  await fetch(url, { method: 'PUT', body: 'x' })
  await fetch(await job.presign('missing'))
  const signature = new URL(url).searchParams.get('X-Amz-Signature') ?? ''
  const lines = () => readFile(file, 'utf8').catch(() => '')
  await expect.poll(lines).toMatch(/GetObject/)
  const text = await lines()
  expect(text).toMatch(/"operation":"PutObject".*"bucket":"default","key":"a","status":200/)
  expect(text).toMatch(/"operation":"GetObject".*"status":404,"code":"NoSuchKey"/)
  expect(text).not.toContain(signature)
  expect(text).not.toContain(secretAccessKey)
})
