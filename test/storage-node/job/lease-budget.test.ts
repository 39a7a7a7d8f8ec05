import { expect, test } from 'vitest'
import { READ_LEASE_MS } from '../../../protocol/limits.ts'
import { LEASES_MAX, LEASES_RECOUNT_MS } from '../../../storage-node/budget/limits.ts'
import { LeaseBudget } from '../../../storage-node/job/lease-budget.ts'
import { PUT_LEASE_MS } from '../../../storage-node/limits.ts'
import { Slot } from '../../../storage-node/slot/slot.ts'
import { newSpace } from '../support/space.ts'

/** A budget over two slots, the first of which has `leases` read leases until `untilMs`. */
function start(leases: number, untilMs: number) {
  const slot = new Slot(newSpace(), { epoch: 1, mayHaveLost: false })
  const budget = new LeaseBudget()
  for (let lease = 0; lease < leases; lease++) {
    budget.take([undefined, slot], 0)
    slot.readLeases.hold(1, lease, untilMs)
  }
  return { budget, slots: [undefined, slot], slot }
}

test('a job has so many leases and no more, until some have lapsed', () => {
  const { budget, slots, slot } = start(LEASES_MAX, READ_LEASE_MS)
  expect(slot.leases).toBe(LEASES_MAX)
  expect(() => budget.take(slots, 1)).toThrow(expect.objectContaining({ code: 'TOO_MANY_REQUESTS' }))
  // After a refusal the leases are counted again once a second.
  expect(() => budget.take(slots, READ_LEASE_MS + LEASES_RECOUNT_MS)).not.toThrow()
  expect(slot.leases).toBe(0)
})

test('what is given back is there again, and what went with its slot is found by counting', () => {
  const { budget, slots, slot } = start(LEASES_MAX, PUT_LEASE_MS)
  budget.giveBack()
  budget.take(slots, 1)
  expect(() => budget.take(slots, 1)).toThrow('of the job are under way')
  slot.readLeases.end(1, 0)
  expect(() => budget.take(slots, 2)).toThrow('of the job are under way')
  budget.take(slots, 1 + LEASES_RECOUNT_MS)
  expect(() => budget.take([], 2 + LEASES_RECOUNT_MS)).not.toThrow()
})
