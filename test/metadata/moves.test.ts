import fc from 'fast-check'
import { expect, test } from 'vitest'
import { withShares } from '../../metadata/decide/decisions.ts'
import { handoff, type MoveEvent } from '../../metadata/decide/handoff.ts'
import { decodeRecord, encodeRecord, type JobRecord, newRecord } from '../../metadata/decide/job-record.ts'
import { planMoves, withMoveEvent, withoutNodes } from '../../metadata/decide/moves.ts'
import { MOVE_SLOTS_MAX, MOVES_MAX } from '../../protocol/limits.ts'
import { NOBODY, type PlacedShare } from '../../protocol/model/placement.ts'
import { SlotOrigin } from '../../protocol/operations/plane-operations.ts'

const share = (node: string, weight = 1): PlacedShare => ({
  node,
  address: `${node}:1`,
  weight,
  ramBytes: 1000,
  ssdBytes: 0,
  s3Bytes: 0,
  bytesPerSecond: 1000,
})

function owners({ owners, nodes }: JobRecord): string[] {
  return Array.from(owners, (owner) => nodes[owner]?.id ?? '')
}

function count(record: JobRecord, node: string): number {
  return owners(record).filter((owner) => owner === node).length
}

/** Every owner has confirmed that it serves its slots. */
const served = (): boolean => true

/** A job on node a, of which half is moving to b. */
function moving(): JobRecord {
  const record = withShares(newRecord('j', 16), [share('a')])
  return planMoves({ ...record, shares: [share('a'), share('b')] }, served)
}

/** Completes every move without a failure. */
function settleAll(record: JobRecord): JobRecord {
  let current = record
  for (let rounds = 0; current.moves.length > 0 && rounds < 10_000; rounds++) {
    const [move] = current.moves
    if (move === undefined) break
    current = planMoves(withMoveEvent(current, move, move.published ? 'settled' : 'indexDelivered'), served)
  }
  return current
}

test('slots that nobody owns go to the nodes in proportion to their weights', () => {
  const record = withShares(newRecord('j', 1024), [share('a', 3), share('b', 1)])
  expect(count(record, 'a')).toBe(768)
  expect(count(record, 'b')).toBe(256)
})

test('any sequence of weights ends with every slot owned, in proportion, after the fewest moves', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 3, maxLength: 3 })
  fc.assert(
    fc.property(fc.array(weights, { minLength: 1, maxLength: 5 }), (steps) => {
      let record = withShares(newRecord('j', 64), [share('n0'), share('n1'), share('n2')])
      for (const step of steps) {
        const before = owners(record)
        record = settleAll(
          planMoves(
            withShares(
              record,
              step.map((weight, i) => share(`n${i}`, weight)),
            ),
            served,
          ),
        )
        const total = step.reduce((sum, weight) => sum + weight, 0)
        const moved = owners(record).filter((owner, slot) => owner !== before[slot]).length
        const due = step.map((weight) => (total === 0 ? null : (weight / total) * 64))
        due.forEach((slots, i) => {
          if (slots !== null) expect(Math.abs(count(record, `n${i}`) - slots)).toBeLessThan(1)
        })
        const lacking = due.reduce<number>(
          (sum, slots, i) =>
            sum + Math.max(0, Math.ceil(slots ?? 0) - before.filter((owner) => owner === `n${i}`).length),
          0,
        )
        expect(moved).toBeLessThanOrEqual(lacking)
        expect(owners(record)).not.toContain('')
      }
    }),
  )
})

test('I7: a slot that is under way is in one move alone, and only so many move at once', () => {
  let record = withShares(newRecord('j', 1024), [share('a')])
  record = planMoves(withShares(record, [share('a', 0), share('b'), share('c')]), served)
  const slots = record.moves.flatMap((move) => move.slots)
  expect(new Set(slots).size).toBe(slots.length)
  expect(record.moves.length).toBe(MOVES_MAX)
  for (const move of record.moves) expect(move.slots.length).toBeLessThanOrEqual(MOVE_SLOTS_MAX)
  const published = withMoveEvent(record, record.moves[0] as JobRecord['moves'][number], 'indexDelivered')
  expect(planMoves(published, served).moves.length).toBe(MOVES_MAX)
})

test('every event in every state has an outcome, and a repetition of one that is over changes nothing', () => {
  for (const state of ['prepared', 'published'] as const) {
    for (const event of Object.keys(handoff[state]) as MoveEvent[]) {
      const prepared = moving()
      const [first] = prepared.moves as [JobRecord['moves'][number]]
      const record = state === 'prepared' ? prepared : withMoveEvent(prepared, first, 'indexDelivered')
      const move = record.moves.find(({ epoch }) => epoch === first.epoch) as JobRecord['moves'][number]
      const after = withMoveEvent(record, move, event)
      if (handoff[state][event] === 'ignore') expect(after).toBe(record)
      else expect(after).not.toEqual(record)
    }
  }
})

test('I3: until the index was delivered the source is the owner; from then on the target is, under the epoch of the move', () => {
  const record = moving()
  const [move] = record.moves as [JobRecord['moves'][number]]
  expect(count(record, 'b')).toBe(0)
  const published = withMoveEvent(record, move, 'indexDelivered')
  for (const slot of move.slots) {
    expect(owners(published)[slot]).toBe('b')
    expect(published.epochs[slot]).toBe(move.epoch)
    expect(published.origins[slot]).toBe(SlotOrigin.handedOver)
  }
  expect(published.epoch).toBeGreaterThan(record.epoch)
})

test('the target dies before it was published: the source goes on with what it holds, under a newer epoch', () => {
  const record = moving()
  const [move] = record.moves as [JobRecord['moves'][number]]
  const after = withoutNodes(record, new Set(['b']))
  for (const slot of move.slots) {
    expect(owners(after)[slot]).toBe('a')
    expect(after.origins[slot]).toBe(SlotOrigin.restored)
    expect(after.epochs[slot]).toBeGreaterThan(move.epoch)
    expect(after.mayHaveLost[slot]).toBe(0)
  }
  expect(after.moves).toEqual([])
})

test("I5: the target dies after it was published: its slots are lost and begin anew, and the source's copies are freed", () => {
  const record = moving()
  const [move] = record.moves as [JobRecord['moves'][number]]
  const after = withoutNodes(withMoveEvent(record, move, 'indexDelivered'), new Set(['b']))
  for (const slot of move.slots) {
    expect(owners(after)[slot]).toBe('a')
    expect(after.origins[slot]).toBe(SlotOrigin.fresh)
    expect(after.mayHaveLost[slot]).toBe(1)
    expect(after.epochs[slot]).toBeGreaterThan(move.epoch)
  }
  expect(after.leftovers).toContainEqual({ node: move.source, epoch: move.epoch, slots: move.slots })
})

test('the source dies before the index was delivered: its slots are lost, and what the target has of them is freed', () => {
  const record = moving()
  const [move] = record.moves as [JobRecord['moves'][number]]
  const after = withoutNodes(record, new Set(['a']))
  expect(owners(after).every((owner) => owner === 'b')).toBe(true)
  expect(after.mayHaveLost.every((lost) => lost === 1)).toBe(true)
  expect(after.leftovers).toContainEqual({ node: move.target, epoch: move.epoch, slots: move.slots })
})

test('the source dies before the target has settled: the slots are not marked as lost', () => {
  const record = moving()
  const [move] = record.moves as [JobRecord['moves'][number]]
  const after = withoutNodes(withMoveEvent(record, move, 'indexDelivered'), new Set(['a']))
  for (const slot of move.slots) {
    expect(owners(after)[slot]).toBe('b')
    expect(after.epochs[slot]).toBe(move.epoch)
    expect(after.mayHaveLost[slot]).toBe(0)
  }
  expect(after.moves).toEqual([])
})

test('I14: with every node dead nobody owns the slots, and the next node gets them marked as lost', () => {
  const dead = withoutNodes(withShares(newRecord('j', 8), [share('a')]), new Set(['a']))
  expect(dead.owners.every((owner) => owner === NOBODY)).toBe(true)
  const after = withShares(dead, [share('b')])
  expect(count(after, 'b')).toBe(8)
  expect(after.mayHaveLost.every((lost) => lost === 1)).toBe(true)
})

test('a record is read back as it was written', () => {
  const record = withoutNodes(
    planMoves(
      withShares(withShares(newRecord('j', 64), [share('a'), share('c')]), [
        share('a', 0),
        share('b'),
        share('c'),
      ]),
      served,
    ),
    new Set(['c']),
  )
  expect(decodeRecord(encodeRecord(record))).toEqual(record)
})

test('I7: a slot whose owner has not confirmed that it serves it does not move', () => {
  const owned = { ...withShares(newRecord('j', 16), [share('a')]), shares: [share('a'), share('b')] }
  const confirmed = new Set([2, 3, 5])
  const { moves } = planMoves(owned, (slot) => confirmed.has(slot))
  expect(moves.flatMap(({ slots }) => slots)).toEqual([...confirmed])
  expect(planMoves(owned, () => false)).toBe(owned)
})
