import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../protocol/limits.ts'
import { VOTES_MS } from '../../service/postgres/limits.ts'
import { startMachines } from '../fixture/machines.ts'
import { startBusyCluster, startDatabaseOn } from './support/busy-cluster.ts'

const TAKE_OVER_MS = 6_000
/** Until metadata looks for silent nodes, and the controller gives their slots to others. */
const NOTICED_MS = 3_000
const NOT_REACHED = ['UNAVAILABLE', 'DEADLINE_EXCEEDED']
/** Longer than the deadline of a call. */
const AFTER_MS = 8_000
const SERVES_MS_MAX = TAKE_OVER_MS + VOTES_MS + NODE_LEASE_MS + LEASE_MARGIN_MS + NOTICED_MS

test('after a machine was lost with the leaders and a node, all keys serve again after take-over, votes and lease', async (context) => {
  const [a, b, c] = await startMachines(3, context)
  const database = await startDatabaseOn(c, context)
  // More than two nodes have.
  const capacityBytes = 560 * 2 ** 20
  const running = await startBusyCluster(database, { servers: [a, b], nodes: [a, b, c], capacityBytes })
  const { job, decisions, metadata, traffic } = running
  expect(job.reservation.nodes).toHaveLength(3)
  await decisions.stop()
  const cutMs = performance.now()
  await a.setCut(true)
  await expect
    .poll(() => metadata[1].log(), { timeout: SERVES_MS_MAX })
    .toContain('nodes were silent for longer than their lease')
  const noticedMs = performance.now() - cutMs
  await sleep(AFTER_MS)
  const unreachable = traffic.history.calls.filter(({ code }) => NOT_REACHED.includes(code))
  const serveMs = Math.max(...unreachable.map(({ returnedMs }) => returnedMs)) - cutMs
  console.info(
    `the node is dead ${noticedMs.toFixed(0)} ms after the cut; the last call without an owner ended after ${serveMs.toFixed(0)} ms`,
  )
  expect(serveMs).toBeLessThan(SERVES_MS_MAX)
  // Its functions had its node until the lease lapsed.
  await running.finish(cutMs + NODE_LEASE_MS)
})
