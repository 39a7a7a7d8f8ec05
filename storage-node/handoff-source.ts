import type { CallerPool } from '../protocol/caller-pool.ts'
import { MISSING, NO_CHUNK, type nodeOperations, peerOperations } from '../protocol/control-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { CONTROL_CALL_MS, PAYLOAD_BYTES_MAX } from '../protocol/limits.ts'
import type { ReplyOf, RequestOf } from '../protocol/operation.ts'
import type { PlacedNode } from '../protocol/placement.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Reply } from '../service/responder.ts'
import { Appended, type Content } from './content.ts'
import { type JobSpace, type Moving, stalePlacement } from './job-space.ts'
import { keyString } from './place.ts'
import { type Chunk, chunkGroupKey } from './slot.ts'
import { indexPages } from './slot-index.ts'
import { failWaits } from './waits.ts'

type Release = RequestOf<typeof nodeOperations.release>
type Pull = RequestOf<typeof peerOperations.pull>

/**
 * The side of a handoff that gives a slot away. From the moment of `release` this node serves the slot no more; it
 * sends the index to the new owner and keeps the bytes until it is told to drop them.
 */
export class HandoffSource {
  readonly #pool: CallerPool
  readonly #clock: Clock
  /** Indices under way, so that a repeated release joins the first one. */
  readonly #sending = new Map<string, Promise<void>>()

  constructor(options: { pool: CallerPool; clock: Clock }) {
    this.#pool = options.pool
    this.#clock = options.clock
  }

  /** Resolves once the target has the index of every slot. Rejects with nothing taken back: it can be repeated. */
  async release(job: JobSpace, { epoch, slots, target }: Release): Promise<void> {
    for (const slot of slots) freeze(job, slot, epoch)
    await Promise.all(slots.map((slot) => this.#sendOnce(job, slot, target)))
  }

  /** Bytes of what was released, for its new owner. */
  pull(job: JobSpace, { slot, epoch, items }: Pull): Reply<ReplyOf<typeof peerOperations.pull>> {
    const moving = job.leaving.get(slot)
    if (moving?.epoch !== epoch) throw stalePlacement(`what slot ${slot} held before epoch ${epoch}`)
    const pieces: Buffer[] = []
    let room = PAYLOAD_BYTES_MAX
    const bytes = items.map((item) => {
      const content = itemContent(moving, item)
      if (content === undefined) return MISSING
      const piece = content.subarray(0, room)
      room -= piece.length
      pieces.push(piece)
      return piece.length
    })
    return { head: { bytes }, payload: pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces) }
  }

  async #sendOnce(job: JobSpace, index: number, target: PlacedNode): Promise<void> {
    const moving = job.leaving.get(index)
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

  async #send(job: JobSpace, slot: number, to: { moving: Moving; target: PlacedNode }): Promise<void> {
    const { epoch } = to.moving
    const { id, address } = to.target
    const caller = await this.#pool.to(address)
    const server = await caller.server
    // The target has died: whoever took its address would keep an index that nobody tells it to drop.
    if (server !== id) throw new MayflyError('UNAVAILABLE', `At ${address} there is ${server} now, not ${id}`)
    const now = { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() }
    for (const page of indexPages(to.moving.slot, now)) {
      const deadlineMs = this.#clock.monotonicMs() + CONTROL_CALL_MS
      await caller.call(peerOperations.slotIndex, { job: job.id, slot, epoch, ...page }, { deadlineMs })
    }
  }
}

/** Frees what is left of a released slot. */
export function dropReleased(job: JobSpace, slot: number, epoch: number): void {
  const moving = job.leaving.get(slot)
  if (moving?.epoch !== epoch) return
  job.leaving.delete(slot)
  job.account(moving.slot, -1)
}

/** From here on the slot is not served. Everything that was answered is in it; all that waits is told to go elsewhere. */
function freeze(job: JobSpace, index: number, epoch: number): void {
  const known = job.epochs[index] ?? 0
  if (known === epoch && job.leaving.get(index)?.epoch === epoch) return
  const slot = job.slots[index]
  if (known >= epoch || slot === undefined) throw stalePlacement(`slot ${index} of the job in epoch ${epoch}`)
  if (!slot.settled) throw new MayflyError('UNAVAILABLE', `Slot ${index} has not settled and cannot move yet`)
  job.slots[index] = undefined
  job.epochs[index] = epoch
  job.leaving.set(index, { slot, epoch })
  failWaits(slot, stalePlacement(`slot ${index} of the job any more`))
}

function itemContent({ slot }: Moving, item: Pull['items'][number]): Buffer | undefined {
  const key = keyString(item.key)
  if (item.chunk !== NO_CHUNK) {
    const chunk = slot.chunks.get(chunkGroupKey(item.bucket, key, item.version))?.chunks.get(item.chunk)
    return bytesFrom(chunk, item.offset)
  }
  const object = slot.find(item.bucket, key)
  return object?.version === item.version ? bytesFrom(object.content, item.offset) : undefined
}

function bytesFrom(content: Content | Chunk | undefined, offset: number): Buffer | undefined {
  if (content instanceof Appended) return content.slice(offset, PAYLOAD_BYTES_MAX)
  return Buffer.isBuffer(content) ? content.subarray(offset) : undefined
}
