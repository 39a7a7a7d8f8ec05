import { unreachable } from '../../protocol/assert.ts'
import { MOVE_SLOTS_MAX, MOVES_MAX } from '../../protocol/limits.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import { SlotOrigin } from '../../protocol/operations/plane-operations.ts'
import { fillSlots, nextEpoch, slotsDue, slotsOwned, takersOf } from './decisions.ts'
import { handoff, type MoveEvent } from './handoff.ts'
import type { JobRecord, Move } from './job-record.ts'
import { ownersOf, SlotTable } from './slot-table.ts'

/** Decisions about slot moves of one job: pure functions from a job record to a job record. No I/O. */

/**
 * Plans moves from nodes above their due number of slots to nodes below it, with as few slots as possible and at most `MOVES_MAX` moves at
 * a time. A slot that is already moving does not move again. Neither does a slot whose owner has not confirmed that it serves it, since
 * such a move could not be undone. Nothing moves to nodes that `mayTake` excludes. Returns the same record if nothing has to move.
 */
export function planMoves(
  record: JobRecord,
  isServed: (slot: number) => boolean,
  mayTake: (node: string) => boolean = () => true,
): JobRecord {
  const takers = takersOf(record)
  if (takers.length === 0) return record
  const owners = eventualOwners(record)
  const nodes = [...takers, ...record.nodes.filter(({ id }) => !takers.some((taker) => taker.id === id))]
  const due = slotsDue(record, nodes)
  const over = slotsOwned(nodes, owners).map((owned, index) => owned - (due[index] ?? 0))
  // Mostly nothing has to move, and then no slot need be looked at.
  if (!over.some((count, index) => count < 0 && mayTake(nodes[index]?.id ?? ''))) return record
  const underWay = new Set(record.moves.flatMap(({ slots }) => slots))
  for (let slot = 0; slot < record.owners.length; slot++) if (!isServed(slot)) underWay.add(slot)
  const moves: Move[] = [...record.moves]
  let { epoch } = record
  while (moves.length < MOVES_MAX) {
    const from = nodes.findIndex(
      (node, index) => (over[index] ?? 0) > 0 && movable(owners, node, underWay) !== null,
    )
    const to = over.findIndex((count, index) => count < 0 && mayTake(nodes[index]?.id ?? ''))
    if (from < 0 || to < 0) break
    const source = nodes[from] as PlacedNode
    const target = nodes[to] as PlacedNode
    const count = Math.min(over[from] ?? 0, -(over[to] ?? 0), MOVE_SLOTS_MAX)
    const slots = slotsOf(owners, source, underWay).slice(0, count)
    for (const slot of slots) underWay.add(slot)
    over[from] = (over[from] ?? 0) - slots.length
    over[to] = (over[to] ?? 0) + slots.length
    epoch = nextEpoch({ ...record, epoch })
    moves.push({ epoch, source, target, slots, published: false })
  }
  return moves.length === record.moves.length ? record : { ...record, epoch, moves }
}

/** The record after an event of a move. */
export function withMoveEvent(record: JobRecord, move: Move, event: MoveEvent): JobRecord {
  const outcome = handoff[move.published ? 'published' : 'prepared'][event]
  const { epoch, source, target, slots } = move
  switch (outcome) {
    case 'ignore':
      return record
    case 'publish':
      return giveSlots(replaceMove(record, move, { ...move, published: true }), slots, {
        owner: target,
        epoch,
        origin: SlotOrigin.handedOver,
      })
    case 'finish':
      return withLeftover(replaceMove(record, move, null), { node: source, epoch, slots })
    case 'finishWithHoles':
      return replaceMove(record, move, null)
    case 'restore':
      return restored(record, move)
    case 'restoreAndFree':
      return withLeftover(restored(record, move), { node: target, epoch, slots })
    case 'lose': {
      const table = new SlotTable(replaceMove(record, move, null))
      for (const slot of slots) table.markLost(slot)
      return withLeftover(withLeftover(table.write(), { node: source, epoch, slots }), {
        node: target,
        epoch,
        slots,
      })
    }
    default:
      return unreachable(outcome)
  }
}

/** The move is undone: its source goes on owning the slots. */
function restored(record: JobRecord, move: Move): JobRecord {
  const to = { owner: move.source, epoch: nextEpoch(record), origin: SlotOrigin.restored }
  return giveSlots(replaceMove(record, move, null), move.slots, to)
}

/**
 * The record after these nodes died. Their moves end as `handoff` says. Their slots are assigned to the remaining nodes, marked as possibly
 * lost, or to no node until the controller adds shares. Returns the same record if the nodes have no part in the job.
 */
export function withoutNodes(record: JobRecord, dead: ReadonlySet<string>): JobRecord {
  let after: JobRecord = { ...record, shares: record.shares.filter(({ node }) => !dead.has(node)) }
  // The leftovers of a dead node are gone with its process.
  let changed =
    after.shares.length < record.shares.length || record.leftovers.some(({ node }) => dead.has(node.id))
  for (const move of record.moves) {
    const event = deathOf(move, dead)
    if (event === null) continue
    changed = true
    after = withMoveEvent(after, move, event)
  }
  const table = new SlotTable(after)
  table.owners.forEach((owner, slot) => {
    if (owner === null || !dead.has(owner.id)) return
    changed = true
    table.markLost(slot)
  })
  if (!changed) return record
  const leftovers = after.leftovers.filter(({ node }) => !dead.has(node.id))
  return fillSlots({ ...table.write(), leftovers })
}

/** Removes a leftover that its node has freed. */
export function withoutLeftover(record: JobRecord, of: { node: string; epoch: number }): JobRecord {
  return {
    ...record,
    leftovers: record.leftovers.filter(({ node, epoch }) => node.id !== of.node || epoch !== of.epoch),
  }
}

function deathOf({ source, target }: Move, dead: ReadonlySet<string>): MoveEvent | null {
  if (dead.has(source.id)) return dead.has(target.id) ? 'bothDied' : 'sourceDied'
  return dead.has(target.id) ? 'targetDied' : null
}

function giveSlots(
  record: JobRecord,
  slots: readonly number[],
  to: { owner: PlacedNode; epoch: number; origin: number },
): JobRecord {
  const table = new SlotTable(record)
  for (const slot of slots) table.give(slot, to)
  // One further epoch, used when clients are shown the new owner.
  return { ...table.write(), epoch: nextEpoch({ ...record, epoch: Math.max(record.epoch, to.epoch) }) }
}

function replaceMove(record: JobRecord, move: Move, by: Move | null): JobRecord {
  const moves = record.moves.flatMap((other) =>
    other.epoch !== move.epoch ? [other] : by === null ? [] : [by],
  )
  return { ...record, moves }
}

function withLeftover(record: JobRecord, leftover: JobRecord['leftovers'][number]): JobRecord {
  return { ...record, leftovers: [...record.leftovers, leftover] }
}

/** The owner of each slot after all moves under way. */
function eventualOwners(record: JobRecord): (PlacedNode | null)[] {
  const owners = ownersOf(record)
  for (const { target, slots } of record.moves) for (const slot of slots) owners[slot] = target
  return owners
}

function slotsOf(
  owners: readonly (PlacedNode | null)[],
  node: PlacedNode,
  underWay: ReadonlySet<number>,
): number[] {
  return owners.flatMap((owner, slot) => (owner?.id === node.id && !underWay.has(slot) ? [slot] : []))
}

function movable(
  owners: readonly (PlacedNode | null)[],
  node: PlacedNode,
  underWay: ReadonlySet<number>,
): number | null {
  const slot = owners.findIndex((owner, index) => owner?.id === node.id && !underWay.has(index))
  return slot < 0 ? null : slot
}
