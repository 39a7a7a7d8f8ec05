import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { openSsd } from '../../../storage-node/tiers/ssd/open-ssd.ts'
import { background } from '../../fixture/background.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

const MIB = 1024 * 1024
const BYTES = 1024

/** All numbers below `count`, in lists of at most 512. */
function numbersBelow(count: number): number[][] {
  const numbers = Array.from({ length: count }, (_, number) => number)
  return Array.from({ length: Math.ceil(count / 512) }, (_, at) => numbers.slice(at * 512, (at + 1) * 512))
}

test.each([
  [4, 4],
  [16, 2],
])('all %i MiB of RAM of a node take a job %i times as large, of 1 KiB objects', async (mib, times) => {
  const planes = await Planes.start()
  const dir = join(await tempDir(), 'ssd')
  const ssd = await openSsd({ bytes: 1024 * MIB, dir }, { clock: systemRuntime.clock, background })
  const node = await planes.startNode(mib * MIB, 1e9, { ssd })
  const limits = { capacityBytes: mib * MIB, ssdBytes: 256 * MIB, bytesPerSecond: 1e9 }
  const job = await open(await planes.createJob('j-a', [node], limits))
  const count = (times * mib * MIB) / BYTES
  const contents = Array.from({ length: count }, () => randomBytes(BYTES))
  const contentOf = (number: number): Buffer => contents[number] as Buffer
  const areWhole = async (numbers: readonly number[]): Promise<boolean> => {
    const values = await job.getMany(numbers.map((number) => `k/${number}`))
    return numbers.every((number, at) => values[at]?.equals(contentOf(number)))
  }
  for (const numbers of numbersBelow(count))
    await Promise.all(numbers.map((number) => job.put(`k/${number}`, contentOf(number))))
  for (const numbers of numbersBelow(count)) expect(await areWhole(numbers)).toBe(true)
  for (let number = 0; number < count; number += 2) contents[number] = randomBytes(BYTES)
  for (const numbers of numbersBelow(count)) {
    const replaced = numbers.filter((number) => number % 2 === 0)
    await job.putMany(replaced.map((number) => ({ key: `k/${number}`, bytes: contentOf(number) })))
  }
  for (const numbers of numbersBelow(count)) expect(await areWhole(numbers)).toBe(true)
  expect(node.node.jobs.get('j-a')?.objects).toBe(count)
})
