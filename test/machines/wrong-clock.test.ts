import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import type { Member, Place } from '../../bench/servers/member.ts'
import { startMachines } from '../fixture/machines.ts'
import { skipMissing } from '../fixture/peers.ts'
import { type BusyCluster, startBusyCluster, startDatabaseOn } from './support/busy-cluster.ts'

/** A take-over that depended on clocks would take an hour, or nothing. */
const TAKE_OVER_MS = 10_000
const HOUR_SECONDS = 3600
const LEASE_SECONDS = 30

/** Debian's package libfaketime has it. */
const library = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`
const sdk = new URL('../../client/dist/index.js', import.meta.url).href

/** A function on a machine. */
const program = `
import { openJob } from '${sdk}'
const job = await openJob()
await job.put('from a wrong clock', String(Date.now()), { ttlSeconds: 60 })
console.log(String(await job.get('from a wrong clock')))
await job.close()`

/** The machine with another wall clock; that for durations is right, as on any machine. */
function withClock({ prefix, address }: Place, offsetSeconds: number): Place {
  const sign = offsetSeconds < 0 ? '' : '+'
  const variables = [
    `LD_PRELOAD=${library}`,
    `FAKETIME=${sign}${offsetSeconds}s`,
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
  ]
  return { prefix: [...prefix, 'env', ...variables], address }
}

/** The first machine of two has a wrong clock. The leaders run there, and a node on each. */
async function start(offsetSeconds: number, context: TestContext): Promise<BusyCluster & { wrong: Place }> {
  if (!existsSync(library)) skipMissing(`${library} is missing: apt-get install libfaketime`, context)
  const [a, b, c] = await startMachines(3, context)
  const wrong = withClock(a, offsetSeconds)
  const database = await startDatabaseOn(c, context)
  return { ...(await startBusyCluster(database, { servers: [wrong, b], nodes: [wrong, b] })), wrong }
}

/** Ms until the others have taken over from those that are killed. */
async function takeOver(leaders: readonly Member[], standbys: readonly Member[]): Promise<number> {
  const beganMs = performance.now()
  for (const { child } of leaders) child.kill('SIGKILL')
  await Promise.all(standbys.map(({ ready }) => ready))
  return performance.now() - beganMs
}

for (const offsetSeconds of [HOUR_SECONDS, -HOUR_SECONDS]) {
  test(`with a clock of one machine that is wrong by ${offsetSeconds} s everything works, also when leaders there take over`, async (context) => {
    const running = await start(offsetSeconds, context)
    const { cluster, controllers, metadata, job, decisions, wrong } = running
    const mayfly = await cluster.connect()
    const idle = await mayfly.registerJob('idle', { capacityBytes: 2 ** 16 })
    const renewed = await mayfly.registerJob(
      'renewed',
      { capacityBytes: 2 ** 16 },
      { leaseSeconds: LEASE_SECONDS },
    )
    const renewals = setInterval(() => void renewed.renew().catch(() => undefined), 1_000)
    onTestFinished(() => clearInterval(renewals))
    const [first = ''] = controllers[0].log().split('\n')
    const { time } = JSON.parse(first) as { time: number }
    expect(Math.abs(time - Date.now() - offsetSeconds * 1000)).toBeLessThan(600_000)
    const [shell = '', ...words] = [...wrong.prefix, process.execPath, '--input-type=module', '-e', program]
    const env = { ...process.env, MAYFLY_TICKET: job.ticket }
    const { stdout } = await promisify(execFile)(shell, words, { env })
    expect(Math.abs(Number(stdout) - Date.now() - offsetSeconds * 1000)).toBeLessThan(60_000)

    // Only the controller knows that it is in use.
    await sleep(LEASE_SECONDS * 1000)
    clearInterval(renewals)
    await renewed.renew()
    const there = await takeOver([controllers[0], metadata[0]], [controllers[1], metadata[1]])
    // Every node has reported by then.
    await sleep(3_000)
    expect((await renewed.info()).state).toBe('active')
    await decisions.untilMade()
    const standbys = [await cluster.controller(0), await cluster.metadata('m-1', { on: wrong })]
    await Promise.all(standbys.map((standby) => standby.waiting()))
    const back = await takeOver([controllers[1], metadata[1]], standbys)
    await decisions.untilMade()
    console.info(`take-overs took ${there.toFixed(0)} and ${back.toFixed(0)} ms`)
    expect(Math.max(there, back)).toBeLessThan(TAKE_OVER_MS)
    expect((await idle.info()).state).toBe('active')
    await running.finish()
  })

  test(`a gateway whose clock is wrong by ${offsetSeconds} s refuses what is signed with another clock, and says why`, async (context) => {
    const { cluster, job, wrong, finish } = await start(offsetSeconds, context)
    await (await cluster.gateway({ on: wrong })).ready
    // The controller knows the gateway with its next report.
    const isKnown = () =>
      job.s3Credentials().then(
        () => true,
        () => false,
      )
    await expect.poll(isKnown).toBe(true)
    const answer = await fetch(await job.presign('key', { method: 'PUT', seconds: 600 }), {
      ...{ method: 'PUT', body: 'value' },
    })
    expect(answer.status).toBe(403)
    expect(await answer.text()).toContain(
      offsetSeconds > 0 ? 'Request has expired' : 'Request is not valid yet',
    )
    await finish()
  })
}
