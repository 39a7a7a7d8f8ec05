import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startMachines } from '../fixture/machines.ts'
import { startBusyCluster, startDatabaseOn } from './support/busy-cluster.ts'

/** Half the lease of a node: after a whole one metadata declares it dead. */
const CUT_MS = 7_500

test('when leaders are cut off from the nodes alone they go on leading, decisions wait or fail, and functions see nothing', async (context) => {
  const [a, b, c, d] = await startMachines(4, context)
  const running = await startBusyCluster(await startDatabaseOn(c, context), {
    servers: [a, b],
    nodes: [d, d],
  })
  const setRoute = (verb: 'add' | 'del') => a.run(['ip', 'route', verb, 'blackhole', d.address])
  await setRoute('add')
  await sleep(CUT_MS)
  await setRoute('del')
  const healedMs = performance.now()
  await running.decisions.untilMade()
  console.info(`decisions are made again ${(performance.now() - healedMs).toFixed(0)} ms after the cut`)
  for (const [leader] of [running.controllers, running.metadata])
    expect(leader.log()).not.toContain('has lost the lead')
  await running.finish()
})
