import { MayflyError } from '../../protocol/errors.ts'
import { SETTLE_HOLD_MS } from '../../protocol/limits.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import {
  type nodeOperations,
  type peerOperations,
  SlotOrigin,
} from '../../protocol/operations/plane-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { NodeJob } from '../job/job.ts'
import type { Slot } from '../slot/slot.ts'
import { enterPage } from './index-pages.ts'
import { fill } from './puller.ts'
import { remoteEntries } from './remote-entries.ts'

type SlotIndex = RequestOf<typeof peerOperations.slotIndex>
type Own = RequestOf<typeof nodeOperations.own>
type Owned = Own['owned'][number]

/** One slot of an ownership message. */
export interface OwnershipEntry extends Pick<Owned, 'epoch' | 'lost' | 'origin' | 'source'> {
  readonly index: number
}

/** Receives a page of the index of an arriving slot. The slot is served only once metadata says so. */
export function receiveIndex(job: NodeJob, request: SlotIndex, clock: Clock): void {
  const { slot: index, epoch, page, last } = request
  if (index >= job.owned.count) throw violation(`the job has no slot ${index}`)
  // A late repetition: the slot was acquired, has a newer epoch, or the handoff was cancelled.
  if (job.owned.epochs.get(index) >= epoch || job.owned.refused.get(index) >= epoch) return
  const known = job.arriving.get(index)
  if (known !== undefined && (known.epoch > epoch || (known.epoch === epoch && known.complete))) return
  if (page === 0) {
    if (known !== undefined) dropArriving(job, index, known.epoch)
    job.arriving.set(index, {
      slot: job.createSlot({ epoch, mayHaveLost: false }),
      epoch,
      nextPage: 0,
      complete: false,
    })
  }
  const arriving = job.arriving.get(index)
  if (arriving === undefined || arriving.epoch !== epoch || arriving.nextPage !== page) {
    throw new MayflyError('UNAVAILABLE', `Page ${page} of the index of slot ${index} came out of order`)
  }
  job.track(arriving.slot, () => {
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
    enterPage(job, arriving.slot, { page: request, now })
  })
  arriving.nextPage = page + 1
  arriving.complete = last
}

/**
 * Acquires a slot on an ownership message. Returns whether it is newly owned. An older message is ignored;
 * one of the same epoch can only tell that the source of remote bytes is gone.
 */
export function takeOver(job: NodeJob, message: OwnershipEntry): boolean {
  const { index, epoch, source } = message
  const known = job.owned.epochs.get(index)
  const owned = job.slots[index]
  const isOwned = job.owned.owns(index)
  if (epoch < known) return false
  if (epoch === known) {
    if (owned !== undefined && owned.source !== '' && source === '') markRemoteLost(job, owned)
    return false
  }
  if (isOwned) {
    // Restores a slot whose release never arrived.
    if (message.origin !== SlotOrigin.restored)
      throw new MayflyError('INTERNAL', `Slot ${index} is owned already`)
    if (owned !== undefined) owned.epoch = epoch
    job.owned.epochs.set(index, epoch)
    return false
  }
  const slot = begin(job, message)
  job.owned.acquire(index, { slot, mayHaveLost: message.lost })
  job.owned.epochs.set(index, epoch)
  if (slot === null) return true
  slot.mayHaveLost = message.lost
  slot.source = source
  if (source === '') markRemoteLost(job, slot)
  return true
}

/**
 * Whether the slots have all their bytes; waits up to a bound. A slot that has moved on counts as settled.
 */
export async function awaitSettled(
  job: NodeJob,
  { slots, epoch }: { slots: readonly number[]; epoch: number },
  clock: Clock,
): Promise<boolean> {
  const open = slots.flatMap((index) => {
    const slot = job.slots[index]
    return slot !== undefined && slot.epoch === epoch && !slot.isComplete ? [slot] : []
  })
  if (open.length === 0) return true
  return await new Promise((resolve) => {
    const timer = clock.after(SETTLE_HOLD_MS, () => resolve(false))
    let left = open.length
    for (const slot of open) {
      slot.pendingEntries.whenEmpty(() => {
        if (--left > 0) return
        timer.cancel()
        resolve(true)
      })
    }
  })
}

/** A handoff was cancelled: drops the index received so far, and rejects further pages. */
export function cancelArrival(job: NodeJob, index: number, epoch: number): void {
  dropArriving(job, index, epoch)
  job.owned.refused.set(index, Math.max(job.owned.refused.get(index), epoch))
}

function dropArriving(job: NodeJob, index: number, epoch: number): void {
  const arriving = job.arriving.get(index)
  if (arriving?.epoch !== epoch) return
  job.arriving.delete(index)
  job.discard(arriving.slot)
}

/**
 * The initial content of a slot by its origin; null if empty. Frees everything else that was held for the
 * slot.
 */
function begin(job: NodeJob, { index, epoch, origin }: OwnershipEntry): Slot | null {
  const leaving = job.released.get(index)
  const arriving = job.arriving.get(index)
  if (origin === SlotOrigin.handedOver) {
    if (arriving?.epoch !== epoch || !arriving.complete) {
      throw new MayflyError('UNAVAILABLE', `The index of slot ${index} for epoch ${epoch} is not here`)
    }
    job.arriving.delete(index)
  } else if (arriving !== undefined) dropArriving(job, index, arriving.epoch)
  if (origin === SlotOrigin.restored) {
    if (leaving === undefined)
      throw new MayflyError('INTERNAL', `Slot ${index} has nothing to be restored from`)
    job.released.delete(index)
    leaving.slot.epoch = epoch
    return leaving.slot
  }
  if (leaving !== undefined) {
    job.released.delete(index)
    job.discard(leaving.slot)
  }
  if (origin !== SlotOrigin.handedOver || arriving === undefined) return null
  if (!arriving.slot.isEmpty) return arriving.slot
  job.discard(arriving.slot)
  return null
}

/** The source of the bytes died: exactly the entries still remote are lost. */
function markRemoteLost(job: NodeJob, slot: Slot): void {
  slot.source = ''
  for (const item of [...remoteEntries(slot)]) fill(job, slot, { item, bytes: null })
}
