import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../gateway/config.ts'
import { Cluster, isRunning } from '../fixture/mayfly-up.ts'
import { clientOf } from './support/s3-servers.ts'

const command = new URL('../../dist/cli/main.js', import.meta.url).pathname
const Bucket = 'default'

async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid='])
  const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  return pairs.filter(([, parent]) => parent === pid).map(([child = 0]) => child)
}

test('a gateway of several processes has one port and one set of metrics, starts a worker again, and leaves none behind', async () => {
  const cluster = await Cluster.start([], { env: { MAYFLY_GATEWAY_PROCESSES: '3' } })
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('workers', { capacityBytes: 2 ** 20 })
  const s3 = clientOf({ region: 'us-east-1', ...(await job.s3Credentials()) })
  const keys = Array.from({ length: 30 }, (_, index) => `key/${index}`)
  await Promise.all(keys.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))))
  const gateway = (await cluster.processes()).find(({ plane }) => plane === 'gateway')?.pid ?? 0
  const workers = await childrenOf(gateway)
  expect(workers.length).toBe(3)

  const targets = await cluster.api<{ targets: string[]; labels: { plane: string } }[]>('/v1/metrics/targets')
  const at = targets.find(({ labels }) => labels.plane === 'gateway')?.targets[0]
  const metrics = async (): Promise<string> => await (await fetch(`http://${at}/metrics`)).text()
  const scraped = await metrics()
  expect(scraped).toContain('mayfly_s3_requests_total{operation="PutObject"} 30')
  expect(/mayfly_build_info\{[^}]*plane="gateway"[^}]*\} (\d+)/.exec(scraped)?.[1]).toBe('1')
  // Several connections at once: each worker has some.
  expect(Number(/mayfly_s3_open_jobs (\d+)/.exec(scraped)?.[1])).toBe(3)

  process.kill(workers[0] ?? 0, 'SIGKILL')
  await expect
    .poll(async () => (await childrenOf(gateway)).filter((pid) => !workers.includes(pid)).length)
    .toBe(1)
  await expect.poll(async () => (await fetch(cluster.s3)).status).toBe(403)
  const got = await Promise.all(keys.map((Key) => s3.send(new GetObjectCommand({ Bucket, Key }))))
  expect(await Promise.all(got.map(({ Body }) => Body?.transformToString()))).toEqual(keys)

  const all = [gateway, ...(await childrenOf(gateway))]
  s3.destroy()
  await job.close()
  expect(await cluster.stop()).toBe(0)
  expect(all.filter(isRunning)).toEqual([])
})

test('a gateway whose workers cannot start says why', async () => {
  const cluster = await Cluster.start()
  const taken = createServer()
  taken.listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const args = [command, 'gateway', '--listen', `127.0.0.1:${port}`, '--dir', cluster.dir]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, MAYFLY_GATEWAY_PROCESSES: '2' },
  })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  expect(code).toBe(1)
  const last = JSON.parse(said.trim().split('\n').at(-1) ?? '')
  expect(last.msg).toMatch(
    new RegExp(`^Port ${port} on 127.0.0.1 is taken by another process; [^.]*\\. [^.]*\\.$`),
  )
})

test.each(['0', '65', '1.5'])('%s processes are refused', (text) => {
  const env = { MAYFLY_LISTEN: '127.0.0.1:0', MAYFLY_TICKET: 'x', MAYFLY_GATEWAY_PROCESSES: text }
  expect(() => readConfig(env)).toThrow('MAYFLY_GATEWAY_PROCESSES')
})
