import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Postgres } from '../../bench/servers/postgres.ts'
import { startMachines } from '../fixture/machines.ts'
import { needPeer } from '../fixture/peers.ts'
import { ask } from '../fixture/postgres.ts'
import { startBusyCluster } from './support/busy-cluster.ts'

/** How long those who watch over PostgreSQL take to see that it is gone. Longer than decisions wait. */
const NOTICED_MS = 8_000
/** From the promotion and the change of the name until decisions are made: the controller has to take the lead again. */
const SERVES_MS_MAX = 10_000

test('when PostgreSQL fails over to a synchronous replica nothing acknowledged is lost, decisions fail as unavailable meanwhile, and functions see nothing', async (context) => {
  needPeer('postgres', context)
  const [first, second, servers] = await startMachines(3, context)
  const primary = await Postgres.start({ durable: true, on: first })
  onTestFinished(() => primary.stop())
  const replica = await primary.replicate({ durable: true, on: second })
  onTestFinished(() => replica.stop())
  await ask(primary.target, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
  await ask(primary.target, 'SELECT pg_reload_conf()')
  const replication = (): Promise<unknown> =>
    ask(primary.target, 'SELECT sync_state FROM pg_stat_replication')
  await expect.poll(replication).toEqual([{ sync_state: 'sync' }])
  const nameIs = (address: string): Promise<void> => servers.setHosts([`${address} db.example`])
  await nameIs(first.address)
  const database = (await primary.createDatabase()).replace(first.address, 'db.example')

  const running = await startBusyCluster(database, { servers: [servers, servers], nodes: [servers, servers] })
  const { decisions } = running

  await primary.halt('SIGKILL')
  const goneMs = performance.now()
  await sleep(NOTICED_MS)
  expect(decisions.made.filter(({ code, returnedMs }) => code === 'ok' && returnedMs > goneMs + 500)).toEqual(
    [],
  )
  expect(decisions.failed.length).toBeGreaterThan(0)
  await replica.promote()
  await nameIs(second.address)
  const servesMs = await decisions.untilMade()
  console.info(`decisions are made again ${servesMs.toFixed(0)} ms after the promotion`)
  expect(servesMs).toBeLessThan(SERVES_MS_MAX)
  await running.finish()
})
