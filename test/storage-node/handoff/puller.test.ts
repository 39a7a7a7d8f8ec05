import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { Puller } from '../../../storage-node/handoff/puller.ts'
import { receiveIndex, takeOver } from '../../../storage-node/handoff/target.ts'
import { background, newBackground } from '../../fixture/background.ts'
import { indexPage, newSpace } from '../support/space.ts'

test('the pull of a slot ends when its job has ended', async () => {
  const job = newSpace()
  receiveIndex(job, indexPage(3, ['k']), systemRuntime.clock)
  takeOver(job, { index: 0, epoch: 3, lost: false, origin: SlotOrigin.handedOver, source: 'a:1' })
  const dial = () => Promise.reject(new Error('nobody is there'))
  const pool = new CallerPool({ dial, runtime: systemRuntime, token: () => Buffer.alloc(0) })
  const puller = new Puller({ pool, runtime: systemRuntime, background })
  let isOver = false
  const settled = puller.pullSlot(job, 0).then(() => {
    isOver = true
  })
  await sleep(100)
  expect(isOver).toBe(false)
  await job.end()
  await Promise.race([settled, sleep(2_000)])
  const wasOver = isOver
  // Without the check that the job still exists, the loop would continue after the test.
  puller.stop()
  expect(wasOver).toBe(true)
})

test('a pull that failed and is not wanted any more is reported as failing no more', async () => {
  const job = newSpace()
  receiveIndex(job, indexPage(3, ['k']), systemRuntime.clock)
  takeOver(job, { index: 0, epoch: 3, lost: false, origin: SlotOrigin.handedOver, source: 'a:1' })
  const dial = () => Promise.reject(new MayflyError('UNAVAILABLE', 'nobody is there'))
  const pool = new CallerPool({ dial, runtime: systemRuntime, token: () => Buffer.alloc(0) })
  const tasks = newBackground()
  const puller = new Puller({ pool, runtime: systemRuntime, background: tasks })
  const failing = () => tasks.report().map(({ task, failing }) => [task, failing])
  const settled = puller.pullSlot(job, 0)
  await expect.poll(failing).toEqual([['pull', 1]])
  // The source has died: nothing is left to pull.
  const slot = job.slots[0]
  if (slot !== undefined) slot.source = ''
  await settled
  expect(failing()).toEqual([['pull', 0]])
})
