import { expect, test } from 'vitest'
import { type Clock, systemRuntime } from '../../protocol/runtime.ts'
import { collectWhenIdle } from '../../service/process/idle-collection.ts'

const MIB = 2 ** 20

/** Garbage that V8 does not collect before something is allocated. */
function leaveGarbage(mib: number): void {
  expect(Array.from({ length: mib }, () => Buffer.alloc(MIB, 1))).toHaveLength(mib)
}

test('an idle process collects its garbage, and a busy one does not', () => {
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
  leaveGarbage(100)
  const before = process.memoryUsage().arrayBuffers
  expect(before).toBeGreaterThan(32 * MIB)
  expect(look()).toBeGreaterThan(before - MIB)
  cores = 0
  expect(look()).toBeLessThan(before - 16 * MIB)
  expect(looks).toHaveLength(1)
})
