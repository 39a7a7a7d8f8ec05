import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import type { Member } from '../../bench/servers/member.ts'
import { StandbyCluster } from '../../bench/servers/standby-cluster.ts'
import { type MayflyError, openJob } from '../../client/index.ts'
import { presignUrl } from '../../client/presign.ts'
import type { RegisteredJob } from '../../client/registration.ts'
import { seed } from '../controller/support/seed.ts'
import { startCuttableProxy } from '../fixture/cuttable-proxy.ts'
import { sharedPostgres } from '../fixture/postgres.ts'
import { SeededRandom } from '../simulation/world/random.ts'
import { openFunctions } from './support/functions.ts'
import { judge } from './support/judge.ts'
import { Traffic } from './support/traffic.ts'

const database = sharedPostgres()
const command = new URL('../../dist/cli/main.js', import.meta.url).pathname

/** A take-over after a death: the lead expires within 4 s, and the rest is to see it and to load. */
const TAKE_OVER_MS = 6_000
/** After an orderly end. */
const RELEASE_MS = 1_000
/** How long PostgreSQL is away: four leases of nodes. */
const AWAY_MS = 60_000

interface Running {
  readonly cluster: StandbyCluster
  readonly controllers: Member[]
  readonly metadata: Member[]
  readonly job: RegisteredJob
  /** Ends the traffic of functions. Fails if a call failed, or saw anything wrong. */
  readonly finish: () => Promise<void>
}

/** Two controllers, two processes for m-1, and a job whose functions are at work. `way` is that of the first of each to PostgreSQL. */
async function start(
  context: TestContext,
  way?: (port: number) => Promise<number>,
): Promise<Running & { url: string }> {
  const { url, server } = await database(context)
  const own = way === undefined ? url : url.replace(`:${server.port}/`, `:${await way(server.port)}/`)
  const cluster = await StandbyCluster.prepare({ command, database: url })
  onTestFinished(() => cluster.stop())
  const controllers = [await cluster.controller(0, { database: own })]
  const metadata = [await cluster.metadata('m-1', { database: own })]
  await Promise.all([controllers[0]?.ready, metadata[0]?.ready])
  controllers.push(await cluster.controller(1))
  metadata.push(await cluster.metadata('m-1'))
  for (let node = 0; node < 2; node++) await (await cluster.node()).ready
  const job = await (await cluster.connect()).registerJob(
    'standby',
    { capacityBytes: 40 * 2 ** 20 },
    { waitSeconds: 20 },
  )
  const clients = await openFunctions(job.ticket, 3)
  const traffic = new Traffic({ clients, lanes: 2, random: new SeededRandom(`${seed}`), pauseMs: 5 })
  const finish = async (): Promise<void> => {
    const history = await traffic.stop()
    console.info(history.summary())
    expect(judge({ calls: history.calls, lossesMs: [] }, { mayFail: false })).toEqual([])
    expect((await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')).toEqual([])
  }
  return { cluster, controllers, metadata, job, finish, url }
}

/** Ms from `end` until the standby serves. */
async function takeOver([leader, standby]: Member[], end: NodeJS.Signals): Promise<number> {
  const beganMs = performance.now()
  leader?.child.kill(end)
  await standby?.ready
  return performance.now() - beganMs
}

/** Everything that needs a leader works, also with the ticket of before. */
async function expectDecisions({ cluster, job }: Running, name: string): Promise<void> {
  const later = await (await cluster.connect()).registerJob(name, { capacityBytes: 2 ** 20 })
  await later.put('key', Buffer.from('value'))
  const old = await openJob(job.ticket)
  await old.createBucket(name)
  await old.put('key', Buffer.from('value'), { bucket: name })
  expect((await old.get('key', { bucket: name })).toString()).toBe('value')
  await old.close()
  await later.deregister()
}

/** The controller knows the gateway with its next report. */
async function until<Result>(call: () => Promise<Result>): Promise<Result> {
  let result: Result | undefined
  await expect.poll(() => call().then((value) => (result = value)), { timeout: 20_000 }).toBeDefined()
  return result as Result
}

test('standbys take over from a controller and a metadata server that are killed, and functions see nothing', async (context) => {
  const running = await start(context)
  for (const member of [running.controllers[1], running.metadata[1]]) {
    const answer = async (query: string) => (await fetch(`http://${member?.probes}/readyz${query}`)).status
    await expect.poll(() => answer('?standby=true')).toBe(200)
    expect(await answer('')).toBe(503)
  }
  expect(await takeOver(running.controllers, 'SIGKILL')).toBeLessThan(TAKE_OVER_MS)
  await expectDecisions(running, 'controller-killed')
  expect(await takeOver(running.metadata, 'SIGKILL')).toBeLessThan(TAKE_OVER_MS)
  await expectDecisions(running, 'metadata-killed')
  await running.finish()
})

test('an S3 gateway finds the controller that leads, which is not the first of its list, and another one after its death', async (context) => {
  const { url } = await database(context)
  const cluster = await StandbyCluster.prepare({ command, database: url })
  onTestFinished(() => cluster.stop())
  const leader = await cluster.controller(1)
  const server = await cluster.metadata('m-1')
  await Promise.all([leader.ready, server.ready])
  const standby = await cluster.controller(0)
  await standby.waiting()
  const others = [await cluster.node(), await cluster.gateway()]
  await Promise.all(others.map(({ ready }) => ready))
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('s3', { capacityBytes: 2 ** 20 }, { waitSeconds: 20 })
  const putUrl = await until(() => job.presign('key', { method: 'PUT' }))
  const put = await fetch(putUrl, { method: 'PUT', body: 'value' })
  expect(put.status).toBe(200)
  leader.child.kill('SIGKILL')
  await standby.ready
  // The gateway has not seen this key: it needs a ticket of the controller that leads now.
  const reader = await until(() => job.s3Credentials({ write: false }))
  const got = await fetch(presignUrl(reader, 'key', { wallMs: Date.now() }))
  expect(await got.text()).toBe('value')
})

test('standbys take over within a second from a controller and a metadata server that end in order', async (context) => {
  const running = await start(context)
  expect(await takeOver(running.controllers, 'SIGTERM')).toBeLessThan(RELEASE_MS)
  expect(await takeOver(running.metadata, 'SIGTERM')).toBeLessThan(RELEASE_MS)
  await expectDecisions(running, 'ended')
  await running.finish()
})

test('leaders that are paused past their lead end when they go on, and change nothing', async (context) => {
  const running = await start(context)
  const paused = [running.controllers[0], running.metadata[0]] as Member[]
  await Promise.all([takeOver(running.controllers, 'SIGSTOP'), takeOver(running.metadata, 'SIGSTOP')])
  await expectDecisions(running, 'paused')
  for (const { child } of paused) child.kill('SIGCONT')
  await Promise.all(paused.map(({ exited }) => exited))
  for (const member of paused) expect(member.log()).toContain('this process has lost the lead')
  await expectDecisions(running, 'went-on')
  await running.finish()
})

test('leaders that are cut off from PostgreSQL alone end, and standbys take over', async (context) => {
  let cut = (): void => undefined
  const running = await start(context, async (port) => {
    const proxy = await startCuttableProxy(port)
    cut = () => proxy.cut()
    return proxy.port
  })
  const beganMs = performance.now()
  cut()
  await Promise.all([running.controllers[1]?.ready, running.metadata[1]?.ready])
  expect(performance.now() - beganMs).toBeLessThan(TAKE_OVER_MS)
  await Promise.all([running.controllers[0]?.exited, running.metadata[0]?.exited])
  await expectDecisions(running, 'cut')
  await running.finish()
})

test('while PostgreSQL restarts decisions wait, and while it is away longer they fail as unavailable and functions go on', async (context) => {
  const running = await start(context)
  const { server } = await database(context)
  await server.halt()
  await server.resume()
  await expectDecisions(running, 'restarted')
  const haltedMs = performance.now()
  await server.halt()
  const [leader] = running.metadata
  const old = await openJob(running.job.ticket)
  // A client repeats what is unavailable until its deadline.
  const refused = await old.createBucket('away').catch((error: MayflyError) => error.code)
  expect(['UNAVAILABLE', 'DEADLINE_EXCEEDED']).toContain(refused)
  await sleep(Math.max(0, haltedMs + AWAY_MS - performance.now()))
  await old.put('written while PostgreSQL is away', Buffer.from('value'))
  expect(leader?.child.exitCode).toBe(null)
  await server.resume()
  await expect
    .poll(() =>
      old.createBucket('back').then(
        () => true,
        () => false,
      ),
    )
    .toBe(true)
  await running.finish()
  await old.close()
})
