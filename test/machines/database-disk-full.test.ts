import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Postgres } from '../../bench/servers/postgres.ts'
import { needPeer } from '../fixture/peers.ts'
import { ask } from '../fixture/postgres.ts'
import { startBusyCluster } from './support/busy-cluster.ts'
import { startSmallDisk } from './support/small-disk.ts'

/** What a new cluster of PostgreSQL and a database take is about 45 MiB. */
const DISK_BYTES = 96 * 2 ** 20
/** How long the disk stays full. */
const FULL_MS = 10_000
/** From when there is room again until decisions are made. */
const SERVES_MS_MAX = 10_000

test('while the disk of PostgreSQL is full decisions are unavailable and say why, functions see nothing, and all works when there is room', async (context) => {
  needPeer('postgres', context)
  const disk = await startSmallDisk(DISK_BYTES, context)
  const server = await Postgres.start({ durable: false, parent: disk.dir, logParent: tmpdir() })
  onTestFinished(() => server.stop())
  const running = await startBusyCluster(await server.createDatabase())
  const { decisions } = running
  await disk.fill()
  // The last page of a table has some room left.
  await expect.poll(() => decisions.failed.length, { timeout: 60_000 }).toBeGreaterThan(0)
  await sleep(FULL_MS)
  expect(decisions.failed.map(({ message }) => message).join('\n')).toContain(
    'The disk is full of the database',
  )
  expect(running.controllers[0].log()).toContain('No space left on device')
  await disk.free()
  const servesMs = await decisions.untilMade()
  console.info(`decisions are made again after ${servesMs.toFixed(0)} ms`)
  expect(servesMs).toBeLessThan(SERVES_MS_MAX)
  await running.finish()
})

test("when the disk of PostgreSQL's log is full and it ends, decisions are unavailable, functions see nothing, and all works when it was started with room", async (context) => {
  needPeer('postgres', context)
  const disk = await startSmallDisk(DISK_BYTES, context)
  const server = await Postgres.start({ durable: false, logParent: disk.dir })
  onTestFinished(() => server.stop())
  const running = await startBusyCluster(await server.createDatabase())
  const { decisions } = running
  await disk.fill()
  const other = ask(
    server.target,
    `CREATE TABLE other AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)`,
  )
  await expect(other).rejects.toThrow()
  await server.exited
  expect(server.printed).toContain('No space left on device')
  await sleep(FULL_MS)
  await disk.free()
  await server.resume()
  const servesMs = await decisions.untilMade()
  console.info(`decisions are made again after ${servesMs.toFixed(0)} ms`)
  expect(servesMs).toBeLessThan(SERVES_MS_MAX)
  await running.finish()
})
