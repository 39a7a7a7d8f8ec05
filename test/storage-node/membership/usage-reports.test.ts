import { expect, test } from 'vitest'
import { UsageReports } from '../../../storage-node/membership/usage-reports.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'
import { open, Planes } from '../../fixture/planes.ts'

/** A job as its node has it, and reports of it by a clock that the test moves. */
async function start() {
  const planes = await Planes.start()
  const running = await planes.startNode()
  await open(await planes.createJob('j-a', [running]))
  const job = running.node.requireJob('j-a')
  const clock = new VirtualClock()
  const reports = new UsageReports(clock)
  job.idle.take(clock.monotonicMs())
  job.idle.restart(clock.monotonicMs())
  const idleMs = (): number | undefined => reports.report([job], 1_000)[0]?.idleMs
  return { clock, reports, job, idleMs }
}

test('a job is reported idle for as long as nobody used it, in reports however far apart', async () => {
  const { clock, reports, job, idleMs } = await start()
  for (let second = 0; second < 5; second++) {
    await clock.advance(1_000)
    reports.check([job])
  }
  expect(idleMs()).toBe(5_000)
  job.noteRequest()
  expect(idleMs()).toBe(0)
})

test('time in which the node was suspended, or had no lease, is no idle time of its jobs', async () => {
  const { clock, reports, job, idleMs } = await start()
  clock.jump(60_000)
  expect(idleMs()).toBe(0)
  clock.jump(1_500)
  expect(idleMs()).toBe(1_500)
  let hasLease = false
  Object.defineProperty(job, 'hasLease', { get: () => hasLease })
  clock.jump(1_000)
  reports.check([job])
  hasLease = true
  clock.jump(700)
  expect(idleMs()).toBe(700)
})
