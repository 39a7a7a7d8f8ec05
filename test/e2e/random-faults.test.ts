import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../protocol/limits.ts'
import { seed } from '../controller/support/seed.ts'
import { Cluster, isRunning, type NodeView } from '../fixture/mayfly-up.ts'
import { SeededRandom } from '../simulation/world/random.ts'
import { judge } from './support/judge.ts'
import { Traffic } from './support/traffic.ts'

const KILLS = 3

test('nodes are killed, stand still and come back too late: nobody sees a wrong or a stale value, and nothing hangs', async () => {
  const random = new SeededRandom(`${seed}`)
  const cluster = await Cluster.startSmall({ ramBytes: 64 * 2 ** 20, nodesMax: 8 })
  const job = await (await cluster.connect()).registerJob('faults', { capacityBytes: 200 * 2 ** 20 })
  const clients = await Promise.all(Array.from({ length: 4 }, () => openJob(job.ticket)))
  onTestFinished(async () => void (await Promise.all([job, ...clients].map((client) => client.close()))))
  const traffic = new Traffic({ clients, lanes: 6, random: random.fork('traffic'), pauseMs: 10 })
  await sleep(2_000)

  const lossesMs: number[] = []
  const frozen = random.pick(await cluster.nodesOf(job))
  lossesMs.push(performance.now())
  process.kill(frozen.pid, 'SIGSTOP')
  const thawMs = performance.now() + NODE_LEASE_MS + LEASE_MARGIN_MS + 1_500
  const faults = random.fork('faults')
  for (let kills = 0; performance.now() < thawMs - 4_000; ) {
    await sleep(faults.between(300, 2_000))
    const victim = faults.pick(await activeNodes(cluster, frozen))
    if (kills < KILLS && faults.chance(0.4)) {
      kills++
      lossesMs.push(performance.now())
      process.kill(victim.pid, 'SIGKILL')
    } else await standStill(victim, faults.between(100, 3_000))
  }
  await sleep(Math.max(0, thawMs - performance.now()))
  // Metadata has reassigned the node's slots by now. The node must not answer the requests that are still in its sockets.
  process.kill(frozen.pid, 'SIGCONT')
  await expect.poll(() => isRunning(frozen.pid)).toBe(false)
  await cluster.event('node.lost', frozen.id)
  await sleep(2_000)

  const history = await traffic.stop()
  console.info(history.summary())
  expect(judge({ calls: history.calls, lossesMs }, { mayFail: true })).toEqual([])
  expect(history.count('ok')).toBeGreaterThan(1_000)
  expect(history.count('OBJECT_LOST')).toBeGreaterThan(0)
  const after = await traffic.checkAll()
  expect(after.calls.filter(({ code }) => code !== 'ok')).toEqual([])
  await job.deregister()
})

async function activeNodes(cluster: Cluster, except: NodeView): Promise<NodeView[]> {
  return (await cluster.nodes()).filter(({ id, state }) => state === 'active' && id !== except.id)
}

/** Shorter than the node's lease, so the node continues without a change. */
async function standStill({ pid }: NodeView, ms: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await sleep(ms)
  process.kill(pid, 'SIGCONT')
}
