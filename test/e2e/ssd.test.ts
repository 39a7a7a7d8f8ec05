import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { Cluster } from '../fixture/mayfly-up.ts'

const MIB = 1024 * 1024

test('a node that is killed while objects leave its RAM takes its own with it, and nothing half-written is ever read', async () => {
  const cluster = await Cluster.startSmall({ ramBytes: 16 * MIB, ssdBytes: 512 * MIB, nodesMax: 2 })
  const mayfly = await cluster.connect()
  const registered = await mayfly.registerJob('spills', { capacityBytes: 128 * MIB, peakBytesPerSecond: 1e8 })
  expect(registered.reservation.bytes.ssd).toBeGreaterThan(64 * MIB)
  const job = await openJob(registered.ticket)
  const contents = new Map(Array.from({ length: 2_000 }, (_, index) => [`k/${index}`, randomBytes(30_000)]))
  let stored = 0
  const putting = (async () => {
    for (const [key, bytes] of contents) {
      await job.put(key, bytes).catch(() => contents.delete(key))
      stored++
    }
  })()
  await expect.poll(() => stored, { interval: 5 }).toBeGreaterThan(1_300)
  const [node] = await cluster.nodesOf(registered)
  if (node?.pid === undefined || node.pid === null) throw new Error('the job has a node of this machine')
  const folder = join(cluster.dir, 'ssd', node.id)
  expect(readdirSync(folder).length).toBeGreaterThan(0)
  process.kill(node.pid, 'SIGKILL')
  await putting
  await expect.poll(() => existsSync(folder)).toBe(false)
  let found = 0
  for (const [key, bytes] of contents) {
    const outcome = await job.get(key).catch((error: { code: string }) => error.code)
    if (typeof outcome === 'string') expect(outcome).toBe('OBJECT_LOST')
    else expect(outcome.equals(bytes)).toBe(true)
    found += typeof outcome === 'string' ? 0 : 1
  }
  expect(found).toBeLessThan(contents.size)
  await job.put('after', 'the job goes on')
  expect((await job.get('after')).toString()).toBe('the job goes on')
  await job.close()
  await registered.deregister()
  await cluster.stop()
  expect(readdirSync(join(cluster.dir, 'ssd'))).toEqual([])
})

test('a node that is killed while its files are compacted loses nothing that was put with persist, also over a restart of all', async () => {
  const cluster = await Cluster.startSmall({ ramBytes: 16 * MIB, ssdBytes: 512 * MIB, nodesMax: 2 })
  const mayfly = await cluster.connect()
  const registered = await mayfly.registerJob('rewrites', {
    capacityBytes: 128 * MIB,
    peakBytesPerSecond: 1e8,
  })
  const job = await openJob(registered.ticket)
  const kept = new Map(Array.from({ length: 20 }, (_, index) => [`kept/${index}`, randomBytes(30_000)]))
  for (const [key, bytes] of kept) await job.put(key, bytes, { persist: true })
  const [node] = await cluster.nodesOf(registered)
  if (node?.pid === undefined || node.pid === null) throw new Error('the job has a node of this machine')
  const folder = join(cluster.dir, 'ssd', node.id, registered.id)
  let last = ''
  let isKilled = false
  const putting = (async () => {
    for (let index = 0; !isKilled && index < 20_000; index++) {
      last = `k/${index % 1_000}`
      await job.put(last, randomBytes(30_000)).catch(() => undefined)
    }
  })()
  // A segment that disappeared was compacted: its live records were copied to another one. More segments appear while objects are overwritten.
  const segments = (): Set<string> => new Set(existsSync(folder) ? readdirSync(folder) : [])
  const seen = new Set<string>()
  const isCompacting = (): boolean => {
    const now = segments()
    for (const segment of now) seen.add(segment)
    return [...seen].some((segment) => !now.has(segment))
  }
  await expect.poll(isCompacting, { interval: 5 }).toBe(true)
  process.kill(node.pid, 'SIGKILL')
  isKilled = true
  await putting
  for (let index = 0; index < 1_000; index += 37) {
    const outcome = await job.get(`k/${index}`).catch((error: { code: string }) => error.code)
    if (typeof outcome === 'string') expect(outcome).toBe('OBJECT_LOST')
    else expect(outcome.length).toBe(30_000)
  }
  await job.close()
  await cluster.stop('SIGKILL')
  const again = await Cluster.start([], { dir: cluster.dir })
  const { kept: store } = await again.connect()
  for (const [key, bytes] of kept)
    expect((await store.get({ job: registered.id, key })).equals(bytes)).toBe(true)
  await again.stop()
  expect(existsSync(folder)).toBe(false)
})
