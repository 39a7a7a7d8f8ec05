import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import type { Member, Place } from '../../../bench/servers/member.ts'
import { Postgres } from '../../../bench/servers/postgres.ts'
import { StandbyCluster } from '../../../bench/servers/standby-cluster.ts'
import { openJob } from '../../../client/index.ts'
import type { RegisteredJob } from '../../../client/registration.ts'
import { seed } from '../../controller/support/seed.ts'
import { openFunctions } from '../../e2e/support/functions.ts'
import { judge } from '../../e2e/support/judge.ts'
import { Traffic } from '../../e2e/support/traffic.ts'
import type { Machine } from '../../fixture/machines.ts'
import { needPeer, type Skippable } from '../../fixture/peers.ts'
import { SeededRandom } from '../../simulation/world/random.ts'
import { Decisions } from './decisions.ts'

const command = new URL('../../../dist/cli/main.js', import.meta.url).pathname

/** Where the processes run: a controller and a metadata server on each of the first two, and a node on each of `nodes`. */
interface Places {
  readonly servers: readonly [Place, Place]
  readonly nodes: readonly Place[]
  /** Of the job of the functions; by default it fits on one node. */
  readonly capacityBytes?: number
}

/** A cluster that is used. */
export interface BusyCluster {
  readonly cluster: StandbyCluster
  /** The first of each leads. */
  readonly controllers: readonly [Member, Member]
  readonly metadata: readonly [Member, Member]
  readonly job: RegisteredJob
  readonly decisions: Decisions
  readonly traffic: Traffic
  /**
   * Ends functions and decisions. Fails if anything wrong was seen, if an acknowledged decision is missing, or if a call of a function failed; where a node was
   * lost with its objects at `lossMs`, calls may fail by what failures.md says.
   */
  finish(lossMs?: number): Promise<void>
}

const here: Place = { prefix: [], address: '127.0.0.1' }

/** Two controllers, two processes for m-1, two nodes, functions at work in this process, and jobs and buckets that are made all the time. */
export async function startBusyCluster(
  database: string,
  { servers, nodes, capacityBytes = 40 * 2 ** 20 }: Places = { servers: [here, here], nodes: [here, here] },
): Promise<BusyCluster> {
  const cluster = await StandbyCluster.prepare({ command, database, places: servers })
  onTestFinished(() => cluster.stop())
  const firstController = await cluster.controller(0)
  const firstMetadata = await cluster.metadata('m-1', { on: servers[0] })
  await Promise.all([firstController.ready, firstMetadata.ready])
  const controllers = [firstController, await cluster.controller(1)] as const
  const metadata = [firstMetadata, await cluster.metadata('m-1', { on: servers[1] })] as const
  for (const on of nodes) await (await cluster.node({ on })).ready
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('kept', { capacityBytes }, { waitSeconds: 20 })
  const clients = await openFunctions(job.ticket, 3)
  const traffic = new Traffic({ clients, lanes: 2, random: new SeededRandom(`${seed}`), pauseMs: 5 })
  const decisions = new Decisions(mayfly, job)
  await decisions.untilMade()
  await sleep(1_000)
  expect(decisions.failed).toEqual([])
  const finish = async (lossMs?: number): Promise<void> => {
    await decisions.stop()
    const made = decisions.made.length - decisions.failed.length
    console.info(`${made} decisions acknowledged, ${decisions.failed.length} failed`)
    expect(decisions.wrong).toEqual([])
    expect(await decisions.missing()).toEqual([])
    const history = await traffic.stop()
    console.info(history.summary())
    const lossesMs = lossMs === undefined ? [] : [lossMs]
    expect(judge({ calls: history.calls, lossesMs }, { mayFail: lossMs !== undefined })).toEqual([])
    expect((await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')).toEqual([])
    const [bucket = ''] = await job.buckets()
    const old = await openJob(job.ticket)
    await old.put('key', 'value', { bucket })
    await old.close()
  }
  return { cluster, controllers, metadata, job, decisions, traffic, finish }
}

/** A PostgreSQL on a machine, until the test has finished. */
export async function startDatabaseOn(on: Machine, test: Skippable): Promise<string> {
  needPeer('postgres', test)
  const server = await Postgres.start({ durable: false, on })
  onTestFinished(() => server.stop())
  return await server.createDatabase()
}
