import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../bench/servers/server.ts'
import { S3_PORT_DEFAULT } from '../../cli/up/supervisor.ts'
import { openJob } from '../../client/index.ts'
import { Cluster, isRunning } from '../fixture/mayfly-up.ts'
import { tempDir } from '../fixture/temp-dir.ts'

test('a second terminal registers a job, puts, lists, gets, removes and ends it', async () => {
  const cluster = await Cluster.start()
  const dir = await tempDir()
  const object = randomBytes(3 * 1024 * 1024)
  await writeFile(join(dir, 'in'), object)
  const { id } = JSON.parse(
    await cluster.mayfly('register', 'demo', '--hint', 'capacityBytes=50000000', '--json'),
  )
  await cluster.mayfly('put', id, 'a/large', join(dir, 'in'))
  await cluster.mayfly('put', id, 'b/small', command())
  expect(await cluster.mayfly('ls', id)).toMatch(/a\/large[\s\S]*b\/small/)
  expect(await cluster.mayfly('ls', id, 'b/')).not.toContain('a/large')
  await cluster.mayfly('get', id, 'a/large', join(dir, 'out'))
  expect((await readFile(join(dir, 'out'))).equals(object)).toBe(true)
  const narrow = ['--read', '--prefix', 'b/', '--seconds', '60']
  const reader = await openJob((await cluster.mayfly('ticket', id, ...narrow)).trim())
  expect((await reader.get('b/small')).equals(await readFile(command()))).toBe(true)
  await expect(reader.get('a/large')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(reader.put('b/small', 'x')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await reader.close()
  const { ticket, expiresAt } = JSON.parse(await cluster.mayfly('ticket', id, '--write', '--json'))
  expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(23 * 3600 * 1000)
  const writer = await openJob(ticket)
  await writer.put('c', 'x')
  await expect(writer.get('c')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await writer.close()
  await cluster.mayfly('rm', id, 'a/large')
  await expect(cluster.mayfly('get', id, 'a/large')).rejects.toMatchObject({
    code: 3,
    stderr: expect.stringContaining('no object'),
  })
  expect(await cluster.mayfly('jobs')).toContain(id)
  expect(await cluster.mayfly('nodes')).toContain('active')
  await cluster.mayfly('status')
  await cluster.mayfly('end', id)
  expect(await cluster.mayfly('jobs')).not.toContain(id)
  await expect(cluster.mayfly('put', id, 'late', command())).rejects.toMatchObject({ code: 1 })
})

test('the second cluster of a machine takes a free port for S3, and says so; a port that was named has to be free', async () => {
  // A cluster of the machine's user may have it already.
  const holder = createServer().listen(S3_PORT_DEFAULT, '127.0.0.1')
  onTestFinished(() => void holder.close())
  await Promise.race([once(holder, 'listening'), once(holder, 'error').catch(() => undefined)])
  const port = await freePort()
  const cluster = await Cluster.start(['--port', String(port)])
  expect(cluster.url).toBe(`http://127.0.0.1:${port}`)
  expect(cluster.s3).not.toBe(`http://127.0.0.1:${S3_PORT_DEFAULT}`)
  expect(cluster.said).toContain(
    `another process has port ${S3_PORT_DEFAULT}; the S3 gateway is at ${new URL(cluster.s3).host}`,
  )
  expect((await fetch(cluster.s3)).headers.get('server')).toBe('Mayfly')
  await expect(Cluster.start(['--s3-port', String(S3_PORT_DEFAULT)])).rejects.toThrow('ended without a line')
})

// test/cli/command.test.ts has SIGINT and SIGKILL.
test('SIGTERM leaves no process behind', async () => {
  const cluster = await Cluster.start()
  const job = await (await cluster.connect()).registerJob('any')
  await job.put('k', 'x')
  await job.close()
  const pids = (await cluster.processes()).map(({ pid }) => pid)
  expect(pids.length).toBeGreaterThanOrEqual(3)
  expect(await cluster.stop('SIGTERM')).toBe(0)
  await expect.poll(() => pids.filter(isRunning)).toEqual([])
})

test('a cluster that is started again on its folder keeps its key and its jobs, and says what was lost', async () => {
  const dir = await tempDir()
  const first = await Cluster.start([], { dir })
  const job = await (await first.connect()).registerJob('again')
  await job.put('k', 'x')
  await job.close()
  await first.stop()
  const second = await Cluster.start([], { dir })
  expect(second.apiKey).toBe(first.apiKey)
  const { jobs } = await second.api<{ jobs: { id: string }[] }>('/v1/jobs')
  expect(jobs.map(({ id }) => id)).toContain(job.id)
  await expect(second.mayfly('get', job.id, 'k')).rejects.toMatchObject({
    stderr: expect.stringContaining('run its producer again'),
  })
})

function command(): string {
  return new URL('../../package.json', import.meta.url).pathname
}
