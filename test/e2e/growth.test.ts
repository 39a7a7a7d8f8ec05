import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Job, openJob } from '../../client/job.ts'
import { asMayflyError } from '../../protocol/errors.ts'
import { Cluster } from '../fixture/mayfly-up.ts'

const MIB = 1024 * 1024
const value = Buffer.alloc(MIB, 0x5a)
const key = (number: number): string => `object/${number}`

/** Puts `count` objects of 1 MiB as fast as possible; resolves with the error codes. */
async function putAll(job: Job, count: number): Promise<string[]> {
  const failures: string[] = []
  let next = 0
  const putter = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++)
      await job.put(key(number), value).catch((error: unknown) => failures.push(asMayflyError(error).code))
  }
  await Promise.all(Array.from({ length: 32 }, putter))
  return failures
}

async function expectAll(job: Job, count: number): Promise<void> {
  for (let from = 0; from < count; from += 16) {
    const keys = Array.from({ length: Math.min(16, count - from) }, (_, number) => key(from + number))
    const stats = await Promise.all(keys.map((each) => job.stat(each)))
    for (const stat of stats) expect(stat?.bytes).toBe(MIB)
  }
}

async function register(
  cluster: Cluster,
  hints: Record<string, number> = {},
): Promise<{ id: string; job: Job }> {
  const mayfly = await cluster.connect()
  const registered = await mayfly.registerJob('filling', hints)
  return { id: registered.id, job: await openJob(registered.ticket) }
}

describe('a job without hints that fills up faster than reports come', () => {
  test('grows on its node, and no put fails', async () => {
    const cluster = await Cluster.start()
    const { job } = await register(cluster)
    expect(await putAll(job, 600)).toEqual([])
    await expectAll(job, 600)
    await job.close()
  })

  test('grows over nodes that have to be started for it', async () => {
    const cluster = await Cluster.startSmall({ ramBytes: 192 * MIB, nodesMax: 4 })
    const { job } = await register(cluster)
    expect(await putAll(job, 420)).toEqual([])
    await expectAll(job, 420)
    await job.close()
  })

  test('spills to SSD once no RAM is free', async () => {
    const cluster = await Cluster.startSmall({ ramBytes: 192 * MIB, ssdBytes: 2048 * MIB, nodesMax: 1 })
    const { job } = await register(cluster)
    expect(await putAll(job, 400)).toEqual([])
    await expectAll(job, 400)
    await job.close()
  })

  test('is told that there is no room where the cluster has none', async () => {
    const cluster = await Cluster.startSmall({ ramBytes: 64 * MIB, nodesMax: 1 })
    const { job } = await register(cluster)
    const failures = await putAll(job, 80)
    expect(failures.length).toBeGreaterThan(10)
    expect(failures.length).toBeLessThan(40)
    expect(new Set(failures)).toEqual(new Set(['CAPACITY_EXCEEDED']))
    await job.close()
  })
})

test('an explicit hint stays a hard limit, and is told at once', async () => {
  const cluster = await Cluster.start()
  const { id, job } = await register(cluster, { capacityBytes: 32 * MIB })
  const failures = await putAll(job, 64)
  expect(failures.length).toBeGreaterThanOrEqual(28)
  expect(new Set(failures)).toEqual(new Set(['CAPACITY_EXCEEDED']))
  await sleep(1_500)
  const before = performance.now()
  await expect(job.put('one more', value)).rejects.toMatchObject({ code: 'CAPACITY_EXCEEDED' })
  expect(performance.now() - before).toBeLessThan(1_000)
  const { reservation } = await cluster.api<{ reservation: { bytes: { ram: number } } }>(`/v1/jobs/${id}`)
  expect(reservation.bytes.ram).toBeLessThan(36 * MIB)
  await job.close()
})
