import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { seed } from '../controller/support/seed.ts'
import { Cluster, isRunning, type NodeView } from '../fixture/mayfly-up.ts'
import { SeededRandom } from '../simulation/world/random.ts'
import { fill, openFunctions } from './support/functions.ts'
import { judge } from './support/judge.ts'
import { Traffic } from './support/traffic.ts'

test('two nodes are drained at once under load: no call fails or sees anything wrong, and both processes end', async () => {
  const cluster = await Cluster.startSmall({ ramBytes: 64 * 2 ** 20, nodesMax: 8 })
  const job = await (await cluster.connect()).registerJob('drains', { capacityBytes: 180 * 2 ** 20 })
  onTestFinished(() => job.close())
  await fill(job, { count: 1_000, bytes: 64 * 1024 })
  const clients = await openFunctions(job.ticket, 4)
  const random = new SeededRandom(`${seed}`)
  const traffic = new Traffic({ clients, lanes: 4, random, pauseMs: 5 })
  await sleep(1_500)
  const drained = (await cluster.nodesOf(job)).slice(0, 2) as [NodeView, NodeView]
  await Promise.all(drained.map(({ id }) => cluster.drain(id)))
  expect((await cluster.nodes()).filter(({ state }) => state === 'draining')).toHaveLength(2)
  await Promise.all(drained.map(({ id }) => cluster.event('node.drained', id)))
  await Promise.all(drained.map(({ id }) => cluster.event('node.stopped', id)))
  expect(drained.filter(({ pid }) => isRunning(pid))).toEqual([])
  await sleep(1_000)
  const history = await traffic.stop()
  console.info(history.summary())
  expect(judge({ calls: history.calls, lossesMs: [] }, { mayFail: false })).toEqual([])
  expect((await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')).toEqual([])
  expect(history.count('ok')).toBeGreaterThan(1_000)
  await job.deregister()
})
