import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { RegisteredJob } from '../../client/registration.ts'
import { seed } from '../controller/support/seed.ts'
import { Cluster } from '../fixture/mayfly-up.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { SeededRandom } from '../simulation/world/random.ts'
import { openFunctions } from './support/functions.ts'
import { judge } from './support/judge.ts'
import { Traffic } from './support/traffic.ts'

interface JobView {
  readonly metadata: string
}

async function startTwo(): Promise<Cluster> {
  const file = join(await tempDir(), 'config.json')
  const node = { name: 'small', cores: 1, bytesPerSecond: 1e9, pricePerHour: 0 }
  const nodeClasses = [{ ...node, ramBytes: 64 * 2 ** 20, nodesMax: 4 }]
  await writeFile(file, JSON.stringify({ metadataServers: 2, warmNodes: 1, nodeClasses }))
  return await Cluster.start(['--config', file])
}

async function register(cluster: Cluster, name: string): Promise<RegisteredJob> {
  const job = await (await cluster.connect()).registerJob(name, { capacityBytes: 50 * 2 ** 20 })
  onTestFinished(() => job.close())
  return job
}

async function serverOf(cluster: Cluster, job: RegisteredJob): Promise<string> {
  return (await cluster.api<JobView>(`/v1/jobs/${job.id}`)).metadata
}

/** Transfers the job, and repeats the request while the transfer takes longer than a call may. */
async function move(cluster: Cluster, job: RegisteredJob, metadata: string): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    const reply = await cluster.send(`/v1/jobs/${job.id}/move`, { metadata })
    if (reply.status === 200) return
    expect(reply.status).toBe(503)
  }
  throw new Error('the job was not handed over')
}

async function trafficOn(job: RegisteredJob, random: SeededRandom): Promise<Traffic> {
  const clients = await openFunctions(job.ticket, 2)
  return new Traffic({ clients, lanes: 3, random: random.fork(job.id), pauseMs: 5 })
}

async function expectNothingWrong(traffics: readonly Traffic[]): Promise<void> {
  for (const traffic of traffics) {
    const history = await traffic.stop()
    console.info(history.summary())
    expect(history.count('ok')).toBeGreaterThan(100)
    expect(judge({ calls: history.calls, lossesMs: [] }, { mayFail: false })).toEqual([])
    expect((await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')).toEqual([])
  }
}

test('one of two servers is killed again and again: no call of either job fails, and new jobs are registered', async () => {
  const random = new SeededRandom(`${seed}`)
  const cluster = await startTwo()
  const jobs = [await register(cluster, 'one'), await register(cluster, 'two')]
  // The server with less load at the start got the first job, and maybe both.
  for (const [index, job] of jobs.entries()) await move(cluster, job, `m-${index + 1}`)
  const traffics = await Promise.all(jobs.map((job) => trafficOn(job, random)))
  for (let kills = 0; kills < 3; kills++) {
    await cluster.killMetadata(kills % 2 === 0 ? 'm-2' : 'm-1')
    await sleep(random.between(200, 1_500))
  }
  const later = await register(cluster, 'later')
  await later.put('k', 'value')
  await expectNothingWrong(traffics)
  for (const job of [...jobs, later]) await job.deregister()
})

test('a job is handed to and fro under load: no call fails, and an old ticket finds it', async () => {
  const random = new SeededRandom(`${seed}`)
  const cluster = await startTwo()
  const job = await register(cluster, 'moves')
  const { ticket } = job
  const traffic = await trafficOn(job, random)
  await sleep(1_000)
  const home = await serverOf(cluster, job)
  const other = home === 'm-1' ? 'm-2' : 'm-1'
  for (const to of [other, home, other, home, other]) {
    await move(cluster, job, to)
    expect(await serverOf(cluster, job)).toBe(to)
    await sleep(200)
  }
  const [late] = await openFunctions(ticket, 1)
  await late?.createBucket('late')
  await late?.put('k', 'value', { bucket: 'late' })
  await expectNothingWrong([traffic])
  const status = await cluster.mayfly('status')
  expect(status).toMatch(/m-1 at .*, \d+ jobs?, \d+ % of a core/)
  await job.deregister()
})

test('servers and controller are killed while jobs are handed over: every move comes to its end, and no call fails', async () => {
  const random = new SeededRandom(`${seed}`)
  const cluster = await startTwo()
  const job = await register(cluster, 'moves')
  const traffic = await trafficOn(job, random)
  for (const victim of ['m-1', 'm-2', 'controller', 'm-2', 'm-1']) {
    const to = (await serverOf(cluster, job)) === 'm-1' ? 'm-2' : 'm-1'
    const moving = move(cluster, job, to).catch(() => undefined)
    await sleep(random.between(0, 12))
    if (victim === 'controller') await cluster.kill('controller')
    else await cluster.killMetadata(victim)
    await moving
    await expect.poll(() => serverOf(cluster, job).catch(() => ''), { interval: 50 }).toBe(to)
    // No call still waits for the killed server.
    const done = traffic.history.calls.length
    await expect
      .poll(() => traffic.history.calls.length, { timeout: 2_000, interval: 20 })
      .toBeGreaterThan(done + 50)
  }
  await job.createBucket('after')
  await expectNothingWrong([traffic])
  await job.deregister()
})
