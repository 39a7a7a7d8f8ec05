import { expect, test } from 'vitest'
import { slotsOwned, withShares } from '../../metadata/decide/decisions.ts'
import { type JobRecord, newRecord } from '../../metadata/decide/job-record.ts'
import { planMoves, withMoveEvent, withoutNodes } from '../../metadata/decide/moves.ts'
import { indexed, ownersOf } from '../../metadata/decide/slot-table.ts'
import { View } from '../../metadata/decide/view.ts'
import { Jobs } from '../../metadata/drive/jobs.ts'
import type { PlacementStore } from '../../metadata/store/placement-store.ts'
import { NOBODY, ownerOf, type PlacedShare } from '../../protocol/model/placement.ts'

const share = (node: string): PlacedShare => ({
  node,
  address: `${node}:1`,
  weight: 1,
  ramBytes: 1000,
  ssdBytes: 0,
  s3Bytes: 0,
  bytesPerSecond: 1000,
})
const b = { id: 'b', address: 'b:1' }

function published(): { before: JobRecord; after: JobRecord; slot: number } {
  const owned = withShares(newRecord('j', 8), [share('a')])
  const before = planMoves({ ...owned, shares: [share('a'), share('b')] }, () => true)
  const [move] = before.moves
  if (move === undefined) throw new Error('half of the slots move')
  return { before, after: withMoveEvent(before, move, 'indexDelivered'), slot: move.slots[0] as number }
}

test('I4: clients are shown a new owner only once it has confirmed, and then under a higher epoch', () => {
  const { before, after, slot } = published()
  const view = new View(before)
  expect(view.isStable(slot, before)).toBe(false)
  expect(ownerOf(view.placement, slot)?.id).toBe('a')
  expect(view.isStable(slot, after)).toBe(false)
  const { epoch } = view.placement
  view.show(b, { confirmed: after, now: after })
  expect(ownerOf(view.placement, slot)?.id).toBe('b')
  expect(view.placement.epoch).toBeGreaterThan(epoch)
  expect(view.isStable(slot, after)).toBe(true)
})

test('a confirmation that comes after the slot went elsewhere shows nothing old', () => {
  const { before, after, slot } = published()
  const view = new View(before)
  const now = withoutNodes(after, new Set(['b']))
  view.show({ id: 'a', address: 'a:1' }, { confirmed: now, now })
  view.show(b, { confirmed: after, now })
  expect(ownerOf(view.placement, slot)?.id).toBe('a')
})

test('a slot counts as served once its owner has confirmed it in that epoch, to this process', () => {
  const { before, after, slot } = published()
  const view = new View(before)
  expect(view.isServed(slot, before)).toBe(false)
  view.show({ id: 'a', address: 'a:1' }, { confirmed: before, now: before })
  expect(view.isServed(slot, before)).toBe(true)
  expect(view.isServed(slot, after)).toBe(false)
  view.show(b, { confirmed: after, now: after })
  expect(view.isServed(slot, after)).toBe(true)
  expect(new View(after).isServed(slot, after)).toBe(false)
})

test('the epoch that is shown rises over a restart of the server', () => {
  const { before, after } = published()
  const view = new View(before)
  view.show(b, { confirmed: after, now: after })
  expect(new View(after).placement.epoch).toBeGreaterThanOrEqual(view.placement.epoch)
})

test('I8: a change that could not be written down is not seen', async () => {
  let fail = false
  const store = {
    jobs: async () => [],
    save: async () => {
      if (fail) throw new Error('the disk is full')
    },
  } as unknown as PlacementStore
  const jobs = new Jobs(store)
  const record = await jobs.create('j', () => withShares(newRecord('j', 8), [share('a')]))
  fail = true
  await expect(jobs.change('j', (known) => withShares(known, [share('b')]))).rejects.toThrow('disk')
  expect(jobs.record('j')).toBe(record)
})

test('slots that several nodes own in turn are indexed by their first slot, with the last address of each node', () => {
  const moved = { id: 'a', address: 'a:2' }
  const a = { id: 'a', address: 'a:1' }
  const { nodes, owners } = indexed([null, b, b, a, null, moved, b, a])
  expect(nodes).toEqual([b, a])
  expect([...owners]).toEqual([NOBODY, 0, 0, 1, NOBODY, 1, 0, 1])
  expect(slotsOwned([a, b, { id: 'c', address: 'c:1' }], [null, b, b, a, null, moved, b, a])).toEqual([
    3, 3, 0,
  ])
  expect(ownersOf({ nodes, owners })).toEqual([null, b, b, a, null, a, b, a])
  expect(indexed([])).toEqual({ nodes: [], owners: new Uint16Array(0) })
})
