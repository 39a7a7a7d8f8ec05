import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Job } from '../../../client/job.ts'
import type { RunningNode } from '../../fixture/planes.ts'
import { demotedKey, fill, MIB, spaceOf, start, tiersOf } from '../support/spilling.ts'

function movedBy({ node }: RunningNode) {
  const tiers = node.report(1_000).find(({ id }) => id === 'j-a')?.tiers
  return { demoted: tiers?.ram?.demotedObjects ?? 0, promoted: tiers?.ssd?.promotedObjects ?? 0 }
}

async function readAll(job: Job, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += 8)
    await Promise.all(keys.slice(from, from + 8).map((key) => job.get(key)))
}

async function demotedKeys(job: Job, keys: Iterable<string>): Promise<string[]> {
  return [...(await tiersOf(job, keys))].flatMap(([key, tier]) => (tier === 'ssd' ? [key] : []))
}

test('an object that is read again and again comes back into RAM', async () => {
  const { job } = await start({ ramBytes: 4 * MIB })
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  const key = await demotedKey(job, contents.keys())
  for (let reads = 0; reads < 4; reads++) await job.get(key)
  expect(await job.stat(key)).toMatchObject({ tier: 'ram' })
})

test('a working set that fits RAM comes to lie there, in the place of what nobody reads', async () => {
  const { job } = await start({ ramBytes: 4 * MIB })
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  const workingSet = (await demotedKeys(job, contents.keys())).slice(0, 120)
  expect(workingSet).toHaveLength(120)
  await expect
    .poll(
      async () => {
        await readAll(job, workingSet)
        return (await demotedKeys(job, workingSet)).length
      },
      { timeout: 30_000, interval: 10 },
    )
    .toBeLessThan(6)
})

test('a read of every object once drives nothing out of RAM', async () => {
  const { job, nodes } = await start({ ramBytes: 4 * MIB })
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  const [node] = nodes as [RunningNode]
  await expect.poll(() => spaceOf(node).usedBytes).toBeLessThan(3.6 * MIB)
  const before = movedBy(node)
  await readAll(job, [...contents.keys()])
  const after = movedBy(node)
  expect(after.demoted - before.demoted).toBeLessThan(40)
  expect(after.promoted - before.promoted).toBeLessThan(40)
})

test('where the reads of an object are known, those that were read so often leave first, and stay below', async () => {
  const demotedReadOf = async (readsPerObject?: number) => {
    const { job, nodes } = await start({ ramBytes: 4 * MIB, readsPerObject })
    const contents = await fill(job, { count: 150, bytes: 20_000 })
    const read = new Set([...contents.keys()].filter((_, index) => index % 2 === 0))
    for (const key of read) await job.get(key)
    for (let index = 0; index < 40; index++) await job.put(`later/${index}`, randomBytes(20_000))
    const [node] = nodes as [RunningNode]
    await expect.poll(() => spaceOf(node).usedBytes).toBeLessThan(3.6 * MIB)
    const demoted = [...(await tiersOf(job, contents.keys()))].filter(([, tier]) => tier === 'ssd')
    expect(demoted.length).toBeGreaterThan(5)
    return { job, demoted: demoted.map(([key]) => key), read }
  }
  const known = await demotedReadOf(1)
  expect(known.demoted.filter((key) => !known.read.has(key))).toEqual([])
  const [first] = known.demoted as [string]
  for (let again = 0; again < 5; again++) await known.job.get(first)
  expect((await known.job.stat(first))?.tier).toBe('ssd')
  // Without an estimate a read predicts further reads.
  const unknown = await demotedReadOf()
  expect(unknown.demoted.some((key) => !unknown.read.has(key))).toBe(true)
})
