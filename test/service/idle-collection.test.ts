import { expect, test } from 'vitest'
import { type Clock, systemRuntime } from '../../protocol/runtime.ts'
import { collectWhenIdle } from '../../service/process/idle-collection.ts'

const MIB = 2 ** 20

let held: Buffer[] = []

/** In a function of its own, whose frame is gone before the collection. */
function hold(mib: number): void {
  held = Array.from({ length: mib }, () => Buffer.alloc(MIB, 1))
}

test('an idle process collects its garbage, and a busy one does not', async () => {
  const looks: (() => void)[] = []
  let cores = 1
  let seconds = 0
  const clock: Clock = {
    ...systemRuntime.clock,
    after: (_ms, task) => {
      looks.push(task)
      return { cancel: () => undefined, unref: () => undefined }
    },
  }
  collectWhenIdle(clock, () => seconds)
  const look = (): number => {
    seconds += cores * 2
    looks.shift()?.()
    return process.memoryUsage().arrayBuffers
  }
  // V8 does not collect it before something is allocated.
  hold(100)
  expect(held.length).toBe(100)
  held = []
  await new Promise((resolve) => setTimeout(resolve, 0))
  const before = process.memoryUsage().arrayBuffers
  expect(before).toBeGreaterThan(32 * MIB)
  expect(look()).toBeGreaterThan(before - MIB)
  cores = 0
  look()
  // Another thread frees the buffers.
  await expect.poll(() => process.memoryUsage().arrayBuffers).toBeLessThan(before - 16 * MIB)
  expect(looks).toHaveLength(1)
})
