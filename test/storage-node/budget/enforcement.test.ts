import { expect, onTestFinished, test } from 'vitest'
import type { Job } from '../../../client/job.ts'
import { CONTENTION_MS } from '../../../protocol/limits.ts'
import { open, Planes } from '../../fixture/planes.ts'

const OBJECT = Buffer.alloc(64 * 1024, 7)
/** Far below what a node can do, so that the limit is measured and not the machine. */
const CAPACITY = 20_000_000

/** Gets the object repeatedly, in `lanes` calls at a time. Resolves with bytes per second. */
async function get(job: Job, { lanes, ms }: { lanes: number; ms: number }): Promise<number> {
  const began = performance.now()
  let bytes = 0
  const lane = async (): Promise<void> => {
    while (performance.now() - began < ms) {
      const { length } = await job.get('k')
      bytes += length
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return (bytes * 1000) / (performance.now() - began)
}

async function twoJobs(): Promise<{ reserved: Job; flooders: Job[] }> {
  const planes = await Planes.start()
  const node = await planes.startNode(64 * 2 ** 20, CAPACITY)
  const ticketOf = (id: string, bytesPerSecond: number) =>
    planes.createJob(id, [node], { capacityBytes: 8 * 2 ** 20, bytesPerSecond })
  const flood = await ticketOf('j-flood', 1)
  const reserved = await open(await ticketOf('j-reserved', CAPACITY / 2))
  const flooders = await Promise.all(Array.from({ length: 4 }, () => open(flood)))
  await Promise.all([reserved, ...flooders.slice(0, 1)].map((job) => job.put('k', OBJECT)))
  return { reserved, flooders }
}

test('a job gets what it reserved while another floods, which is slowed and fails in nothing', async () => {
  const { reserved, flooders } = await twoJobs()
  const flood = Promise.all(flooders.map((job) => get(job, { lanes: 32, ms: 4_000 })))
  const got = await get(reserved, { lanes: 8, ms: 3_000 })
  const flooded = (await flood).reduce((sum, each) => sum + each, 0)
  expect(got).toBeGreaterThan(0.95 * (CAPACITY / 2))
  expect(flooded).toBeGreaterThan(0)
})

test('a job that is alone may use all that the node can do', async () => {
  const { flooders } = await twoJobs()
  // After its put the other job counts as active for this time.
  await new Promise((resolve) => setTimeout(resolve, CONTENTION_MS + 100))
  const alone = await Promise.all(flooders.map((job) => get(job, { lanes: 8, ms: 1_500 })))
  expect(alone.reduce((sum, each) => sum + each, 0)).toBeGreaterThan(1.5 * CAPACITY)
})

test('a connection that is held is closed like any other', async () => {
  const { reserved, flooders } = await twoJobs()
  const ends: Promise<unknown>[] = []
  await reserved.get('k')
  const keepAlive = setInterval(() => ends.push(reserved.get('k')), 20)
  onTestFinished(() => clearInterval(keepAlive))
  const calls = Array.from({ length: 500 }, () =>
    flooders[0]?.put('k', OBJECT).catch((error: Error) => error),
  )
  await new Promise((resolve) => setTimeout(resolve, 300))
  await flooders[0]?.close()
  const outcomes = await Promise.all(calls)
  expect(outcomes.some((outcome) => outcome instanceof Error)).toBe(true)
  clearInterval(keepAlive)
  await Promise.all(ends)
  expect((await flooders[1]?.get('k'))?.length).toBe(OBJECT.length)
})
