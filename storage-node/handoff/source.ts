import { isError, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, PAYLOAD_BYTES_MAX } from '../../protocol/limits.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import type { ReplyOf, RequestOf } from '../../protocol/operations/operation.ts'
import {
  MISSING,
  NO_CHUNK,
  type nodeOperations,
  peerOperations,
} from '../../protocol/operations/plane-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { type NodeJob, stalePlacement } from '../job/job.ts'
import { untilPersisted } from '../job/key-mutex.ts'
import type { MovingSlot } from '../job/moving-slot.ts'
import { type Piece, readParts } from '../memory/payload.ts'
import { type PinnedReply, pinnedReply } from '../memory/pinned-reply.ts'
import type { Location } from '../memory/record.ts'
import { chunkGroupKey, DemotedChunk, StoredChunk } from '../slot/chunks.ts'
import { keyHash, keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import { isDemoted, isManifest, isRemote, readObject } from '../slot/stored-object.ts'
import { failWaits } from '../slot/waits.ts'
import type { Range } from '../tiers/tier-store.ts'
import { indexPages } from './index-pages.ts'

type Release = RequestOf<typeof nodeOperations.release>
type Pull = RequestOf<typeof peerOperations.pull>
type Pulled = PinnedReply<ReplyOf<typeof peerOperations.pull>>

/** A range of bytes on a lower tier. */
interface LowerPiece {
  readonly location: Location
  readonly range: Range
}

/**
 * The releasing side of a handoff. From `release` on this node does not serve the slot. It sends the index to
 * the new owner and retains the bytes until it is told to drop them.
 */
export class HandoffSource {
  readonly #pool: CallerPool
  readonly #clock: Clock
  /** Indexes being sent, so that a repeated release joins the first. */
  readonly #sending = new Map<string, Promise<void>>()

  constructor(options: { pool: CallerPool; clock: Clock }) {
    this.#pool = options.pool
    this.#clock = options.clock
  }

  /**
   * Resolves once the target has the index of every slot. A rejected release is not undone and may be
   * repeated.
   */
  async release(job: NodeJob, { epoch, slots, target }: Release): Promise<void> {
    for (const slot of slots) freeze(job, slot, epoch)
    await Promise.all(slots.map((slot) => this.#sendOnce(job, slot, target)))
  }

  /** Serves bytes of released slots to their new owner. */
  pull(job: NodeJob, request: Pull): Pulled | Promise<Pulled> {
    const moving = job.released.get(request.slot)
    if (moving?.epoch !== request.epoch)
      throw stalePlacement(`what slot ${request.slot} held before epoch ${request.epoch}`)
    // What this node has freed with a bucket is not lost: its new owner hears of the deletion soon.
    if (request.items.some(({ bucket }) => job.buckets.isDeleted(bucket)))
      throw new MayflyError('UNAVAILABLE', 'A bucket of these entries is being deleted')
    let room = PAYLOAD_BYTES_MAX
    const pieces = request.items.map((item) => {
      const piece = itemPiece(job, moving, { item, room })
      room -= piece === undefined ? 0 : lengthOf(piece)
      return piece
    })
    if (pieces.some(isLowerPiece)) return pullLower(job, pieces)
    const here = pieces.flatMap((piece) => (piece === undefined || isLowerPiece(piece) ? [] : [piece]))
    const bytes = pieces.map((piece) => (piece === undefined ? MISSING : lengthOf(piece)))
    const [first] = here
    if (here.length === 1 && first !== undefined) return pinnedReply({ bytes }, job.memory, first)
    return { head: { bytes }, payload: Buffer.concat(here.flatMap(({ views }) => views)) }
  }

  async #sendOnce(job: NodeJob, index: number, target: PlacedNode): Promise<void> {
    const moving = job.released.get(index)
    if (moving === undefined) throw stalePlacement(`slot ${index} of the job, nor a released one`)
    const name = `${job.id}/${index}/${moving.epoch}`
    const sending = this.#sending.get(name) ?? this.#send(job, index, { moving, target })
    this.#sending.set(name, sending)
    try {
      await sending
    } finally {
      this.#sending.delete(name)
    }
  }

  async #send(
    job: NodeJob,
    slot: number,
    handoff: { moving: MovingSlot; target: PlacedNode },
  ): Promise<void> {
    const { epoch } = handoff.moving
    const { id, address } = handoff.target
    await untilPersisted(handoff.moving.slot)
    const caller = await this.#pool.to(address)
    const server = await caller.server
    // The target has died. A new node at its address would retain an index that nobody tells it to drop.
    if (server !== id) throw new MayflyError('UNAVAILABLE', `At ${address} there is ${server} now, not ${id}`)
    const now = { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() }
    for (const page of indexPages(job, handoff.moving.slot, now)) {
      const deadlineMs = this.#clock.monotonicMs() + CONTROL_CALL_MS
      await caller.call(peerOperations.slotIndex, { job: job.id, slot, epoch, ...page }, { deadlineMs })
    }
  }
}

/** Frees a released slot. */
export function dropReleased(job: NodeJob, slot: number, epoch: number): void {
  const moving = job.released.get(slot)
  if (moving?.epoch !== epoch) return
  job.released.delete(slot)
  job.discard(moving.slot)
}

/** Frees an owned slot that others own by now. */
export function withdraw(job: NodeJob, index: number): void {
  const slot = job.slots[index]
  stopServing(job, index, slot)
  if (slot !== undefined) job.discard(slot)
}

/** Stops serving a slot: all answered mutations are in it, and parked calls fail with `STALE_PLACEMENT`. */
function freeze(job: NodeJob, index: number, epoch: number): void {
  const known = job.owned.epochs.get(index)
  if (known === epoch && job.released.get(index)?.epoch === epoch) return
  const slot = job.owned.touch(index)
  if (known >= epoch || slot === undefined) throw stalePlacement(`slot ${index} of the job in epoch ${epoch}`)
  if (!slot.isComplete)
    throw new MayflyError('UNAVAILABLE', `Slot ${index} has not settled and cannot move yet`)
  stopServing(job, index, slot)
  job.owned.epochs.set(index, epoch)
  job.released.set(index, { slot, epoch })
}

function stopServing(job: NodeJob, index: number, slot: Slot | undefined): void {
  job.owned.release(index)
  if (slot !== undefined)
    failWaits(slot, job.waitSteps, () => stalePlacement(`slot ${index} of the job any more`))
}

/** RAM ranges are copied before anything is awaited; a record that its tier has lost is missing. */
async function pullLower(job: NodeJob, pieces: readonly (Piece | LowerPiece | undefined)[]): Promise<Pulled> {
  const payloads = await Promise.all(
    pieces.map(async (piece) => {
      if (piece === undefined) return null
      if (!isLowerPiece(piece)) return Buffer.concat(piece.views)
      try {
        return await job.tiers.read(piece.location, piece.range)
      } catch (error) {
        if (!isError(error, 'OBJECT_LOST')) throw error
        return null
      }
    }),
  )
  const bytes = payloads.map((payload) => payload?.length ?? MISSING)
  return { head: { bytes }, payload: Buffer.concat(payloads.filter((payload) => payload !== null)) }
}

function isLowerPiece(piece: Piece | LowerPiece | undefined): piece is LowerPiece {
  return piece !== undefined && 'location' in piece
}

function lengthOf(piece: Piece | LowerPiece): number {
  return isLowerPiece(piece) ? piece.range.length : piece.views.reduce((sum, view) => sum + view.length, 0)
}

/** The bytes from the item's offset on, up to `room`. */
function itemPiece(
  { memory }: NodeJob,
  { slot }: MovingSlot,
  { item, room }: { item: Pull['items'][number]; room: number },
): Piece | LowerPiece | undefined {
  const { bucket, version, offset } = item
  const key = keyString(item.key)
  if (item.chunk !== NO_CHUNK) {
    const chunk = slot.chunks.find(chunkGroupKey(bucket, key, version), item.chunk)
    const bytes = Math.max(0, Math.min(room, (chunk?.bytes ?? 0) - offset))
    if (chunk instanceof DemotedChunk) return { location: chunk.location, range: { offset, length: bytes } }
    return chunk instanceof StoredChunk ? readParts(memory, chunk.parts, { offset, bytes }) : undefined
  }
  const object = slot.find(keyHash(bucket, key))
  if (object?.version !== version || isRemote(object) || isManifest(object)) return undefined
  const bytes = Math.max(0, Math.min(room, object.bytes - offset))
  if (isDemoted(object)) return { location: object.location, range: { offset, length: bytes } }
  return readObject(memory, object, { offset, bytes })
}
