import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Postgres } from '../../bench/servers/postgres.ts'
import { startMachines } from '../fixture/machines.ts'
import { needPeer } from '../fixture/peers.ts'
import { startBusyCluster } from './support/busy-cluster.ts'

/** Half the lease of a node: after a whole one metadata declares it dead. */
const CUT_MS = 7_500

test('when leaders are cut off from the nodes alone they go on leading, decisions wait or fail, and functions see nothing', async (context) => {
  needPeer('postgres', context)
  const [a, b, c, d] = await startMachines(4, context)
  if (a === undefined || b === undefined || c === undefined || d === undefined)
    throw new Error('there are four')
  const server = await Postgres.start({ durable: false, on: c })
  onTestFinished(() => server.stop())
  const running = await startBusyCluster(await server.createDatabase(), { servers: [a, b], nodes: [d, d] })
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
