import { expect, test } from 'vitest'
import { BURST_JOB_BYTES, burstClass, countRequests } from '../../bench/suites/cluster/kubernetes-rounds.ts'
import { clusters, command, startLoad } from './support/load.ts'

const start = clusters()
const PODS = 200

test('200 pods are started at once: each costs a few requests, no answer is wrong, and no pod stays', async (context) => {
  const running = await start(context, { classes: [burstClass(PODS, command)], startSeconds: 300 })
  const { cluster, controllers } = running
  const load = await startLoad(running, BURST_JOB_BYTES)
  const mayfly = await cluster.connect()
  const before = (await cluster.requests()).length
  const beganMs = performance.now()
  const jobs = await Promise.all(
    Array.from({ length: PODS }, (_, index) =>
      mayfly.registerJob(`burst-${index}`, { capacityBytes: BURST_JOB_BYTES }, { waitSeconds: 240 }),
    ),
  )
  expect((await cluster.pods()).length).toBeGreaterThanOrEqual(PODS)
  // Two cores are too few for the processes of 200 nodes: calls miss their deadlines, and a node may miss its heartbeats. No answer may be wrong.
  expect(await load.finish([beganMs])).toEqual([])
  await Promise.all([load.job, ...jobs].map((job) => job.deregister()))
  await expect.poll(() => cluster.pods(), { timeout: 120_000 }).toEqual([])
  const seconds = (performance.now() - beganMs) / 1000
  const { 'patch poddisruptionbudgets': budgets = 0, ...requests } = countRequests(
    (await cluster.requests()).slice(before),
  )
  console.info(`${seconds.toFixed(0)} s`, { budgets, ...requests })
  const { 'create pods': created = 0, 'delete pods': deleted = 0, ...others } = requests
  // Starts that are no longer needed are ended, and deletions are repeated where the answer was late.
  expect(created).toBeLessThanOrEqual(1.5 * PODS)
  expect(deleted).toBeLessThanOrEqual(2 * created)
  expect(budgets).toBeLessThanOrEqual(seconds + 1)
  expect(Object.values(others).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(seconds / 10 + 10)
  expect(controllers[0]?.log()).not.toContain('"level":50')
}, 600_000)
