import { join } from 'node:path'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { decodeRecord, type JobRecord } from '../../metadata/decide/job-record.ts'
import { seed } from '../controller/support/seed.ts'
import { Cluster, type NodeView } from '../fixture/mayfly-up.ts'
import { SeededRandom } from '../simulation/world/random.ts'
import { fill, openFunctions } from './support/functions.ts'
import { judge } from './support/judge.ts'
import { Traffic } from './support/traffic.ts'

/** The record of a move at which its metadata server is killed, and the delay until it dies. */
const steps = [
  { name: 'prepared', isReached: hasPrepared, msMax: 1 },
  { name: 'the index is delivered', isReached: hasPrepared, msMax: 10 },
  { name: 'published', isReached: hasPublished, msMax: 3 },
  { name: 'settled', isReached: ({ leftovers }: JobRecord) => leftovers.length > 0, msMax: 1 },
]

test('metadata is killed at each step of two drains: they come to their end, and no call fails or sees anything wrong', async () => {
  const random = new SeededRandom(`${seed}`)
  const cluster = await Cluster.startSmall({ ramBytes: 64 * 2 ** 20, nodesMax: 6 })
  const job = await (await cluster.connect()).registerJob('drains', { capacityBytes: 120 * 2 ** 20 })
  onTestFinished(() => job.close())
  await fill(job, { count: 1_000, bytes: 64 * 1024 })
  const clients = await openFunctions(job.ticket, 4)
  const traffic = new Traffic({ clients, lanes: 3, random: random.fork('traffic'), pauseMs: 5 })
  await sleep(1_000)
  const kills = random.fork('kills')
  const open = [...steps]
  for (const { id } of (await cluster.nodesOf(job)) as NodeView[]) {
    const drained = cluster.event('node.stopped', id, 40_000)
    await cluster.drain(id)
    for (const step of open.splice(0, 2)) {
      const pid = await metadataPid(cluster)
      await untilRecord(cluster, step.isReached)
      await sleep(kills.between(0, step.msMax))
      process.kill(pid, 'SIGKILL')
    }
    await drained
  }
  expect(open).toEqual([])
  await sleep(1_000)
  const history = await traffic.stop()
  console.info(history.summary())
  expect(judge({ calls: history.calls, lossesMs: [] }, { mayFail: false })).toEqual([])
  expect((await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')).toEqual([])
  await job.deregister()
})

function hasPrepared({ moves }: JobRecord): boolean {
  return moves.some(({ published }) => !published)
}

function hasPublished({ moves }: JobRecord): boolean {
  return moves.some(({ published }) => published)
}

async function metadataPid(cluster: Cluster): Promise<number> {
  for (;;) {
    const found = (await cluster.processes()).find(({ plane }) => plane === 'metadata')
    if (found !== undefined) return found.pid
    await sleep(20)
  }
}

/** Resolves when metadata's record of the only job satisfies `isReached`. Rejects if it does not in time. */
async function untilRecord(cluster: Cluster, isReached: (record: JobRecord) => boolean): Promise<void> {
  const database = new Database(join(cluster.dir, 'metadata-1', 'metadata.sqlite'), { readonly: true })
  const record = database.prepare<[], Buffer>('SELECT record FROM jobs').pluck()
  try {
    for (const untilMs = performance.now() + 20_000; performance.now() < untilMs; await turn()) {
      const bytes = record.get()
      if (bytes !== undefined && isReached(decodeRecord(bytes))) return
    }
  } finally {
    database.close()
  }
  throw new Error('metadata did not come to this step')
}
