import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { SLOTS_DEFAULT } from '../../../protocol/limits.ts'
import { SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import { TierBudget } from '../../../storage-node/budget/budget.ts'
import { takeOver } from '../../../storage-node/handoff/target.ts'
import { JOB_OVERHEAD_BYTES, SLOT_OVERHEAD_BYTES } from '../../../storage-node/limits.ts'
import { Planes } from '../../fixture/planes.ts'
import { ownFields } from '../support/requests.ts'
import { newSpace } from '../support/space.ts'

const word = {
  ...ownFields,
  metadata: 'm',
  slots: SLOTS_DEFAULT,
  owned: [{ first: 0, count: SLOTS_DEFAULT, epoch: 1, lost: false, origin: SlotOrigin.fresh, source: '' }],
}

/** A job of which the node owns every slot. */
function ownAll(tier = new TierBudget(1e9)) {
  const job = newSpace(60_000, SLOTS_DEFAULT, tier)
  for (let index = 0; index < SLOTS_DEFAULT; index++)
    takeOver(job, { index, epoch: 3, lost: index === 7, origin: SlotOrigin.fresh, source: '' })
  job.owned.compact()
  return job
}

test('a slot that nothing has touched is owned, and takes no memory', () => {
  const job = ownAll()
  expect(job.hasSlots).toBe(true)
  expect([...job.everySlot()]).toEqual([])
  const slot = job.ownedSlot(7)
  expect([slot.epoch, slot.mayHaveLost]).toEqual([3, true])
  expect(job.ownedSlot(8).mayHaveLost).toBe(false)
  expect([...job.everySlot()]).toHaveLength(2)
  expect(job.ownedSlot(7)).toBe(slot)
})

test('a node counts what a job and its touched slots take as held, and the job may store as much as before', () => {
  const tier = new TierBudget(1e6)
  const job = ownAll(tier)
  job.setBudgets(new Map([[0, { reservedBytes: 1e6 / 2, bytesMax: 1e6 }]]))
  for (const index of [1, 2, 3]) job.ownedSlot(index)
  expect(job.overheadBytes).toBe(JOB_OVERHEAD_BYTES + 3 * SLOT_OVERHEAD_BYTES)
  expect(tier.overheadBytes).toBe(job.overheadBytes)
  expect(job.usedBytes).toBe(0)
  expect(() => job.admit(1e6 / 2)).not.toThrow()
  // Above its reservation it may borrow the node's free memory, less the overhead of jobs.
  expect(() => job.admit(1e6 - job.overheadBytes)).not.toThrow()
  expect(() => job.admit(1e6 - job.overheadBytes + 1)).toThrow('reserved or in use')
  void job.end()
  expect(tier.overheadBytes).toBe(0)
})

test('five hundred empty jobs take less than 8 KiB of a node each', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const usedBytes = (): number => {
    gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const planes = await Planes.start()
  const { node } = await planes.startNode()
  const own = (job: string) => node.ownership.own({ ...word, job })
  own('j-first')
  const before = usedBytes()
  for (let index = 0; index < 500; index++) own(`j-${index}`)
  expect((usedBytes() - before) / 500).toBeLessThan(8 * 1024)
  expect(node.report(1000)).toHaveLength(501)
})
