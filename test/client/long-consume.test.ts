import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Job } from '../../client/job.ts'
import { RECEIPT_MS, REPEAT_MS_MAX } from '../../protocol/limits.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { startLosing } from '../fixture/losing-proxy.ts'
import { open, Planes } from '../fixture/planes.ts'

/** Longer than every wait of these tests, so that the key is still waited for after the clock was advanced. */
const WAIT_SECONDS = 300

/** A consume that a node has parked for longer than mutations are repeated, by the clock of its client. */
async function startLongConsume() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const proxy = await startLosing(node.address)
  const { clock, random } = systemRuntime
  let aheadMs = 0
  const retried: string[] = []
  const world = {
    runtime: { random, clock: { ...clock, monotonicMs: () => clock.monotonicMs() + aheadMs } },
    dial: (address: string) => dialTcp(address === node.address ? proxy.address : address),
  }
  const job = new Job(ticket, world, { onRetry: ({ error }) => retried.push(error.code) })
  onTestFinished(() => job.close())
  const consumed = job.get('late', { consume: true, waitSeconds: WAIT_SECONDS })
  consumed.catch(() => undefined)
  await sleep(2 * RECEIPT_MS)
  aheadMs += 2 * REPEAT_MS_MAX
  return { proxy, consumed, retried, direct: await open(ticket) }
}

test('I9: a consume that has waited for minutes and then loses its connection is asked for again, and gets its object once', async () => {
  const { proxy, consumed, retried, direct } = await startLongConsume()
  proxy.cut()
  await expect.poll(() => retried).toEqual(['CONNECTION_LOST'])
  await direct.put('late', 'here')
  expect((await consumed).toString()).toBe('here')
  expect(await direct.exists('late')).toBe(false)
})

test('I9: a consume that has waited for minutes and whose answer is lost gets that answer, and nothing else', async () => {
  const { proxy, consumed, retried, direct } = await startLongConsume()
  proxy.loseAnswer()
  await direct.put('late', 'first')
  await direct.put('late', 'second', { ifAbsent: true })
  expect((await consumed).toString()).toBe('first')
  expect(retried).toEqual(['CONNECTION_LOST'])
  expect((await direct.get('late')).toString()).toBe('second')
})
