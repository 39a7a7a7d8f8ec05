import type { CallerPool } from '../protocol/caller-pool.ts'
import { peerOperations } from '../protocol/control-operations.ts'
import type { DataRequests } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { hashChunk, hashKey, slotOf } from '../protocol/hash.ts'
import { CONTROL_CALL_MS } from '../protocol/limits.ts'
import { chunksOf, type Manifest } from '../protocol/manifest.ts'
import type { Clock } from '../protocol/runtime.ts'
import { KEPT_CHUNKS_AHEAD } from '../service/kept/kept-limits.ts'
import type { Reply } from '../service/responder.ts'
import type { JobPlacements } from './job-placements.ts'
import type { JobSpace } from './job-space.ts'
import type { LargeObjects } from './large-objects.ts'

export interface ChunkSourceOptions {
  /** Id of this node. */
  readonly self: string
  readonly largeObjects: LargeObjects
  readonly placements: JobPlacements
  readonly pool: CallerPool
  readonly clock: Clock
}

interface Version {
  readonly bucket: number
  readonly key: Uint8Array
  readonly version: number
}

/** The bytes of large objects, for the owner of their key: chunks lie on any node of the job. */
export class ChunkSource {
  readonly #options: ChunkSourceOptions

  constructor(options: ChunkSourceOptions) {
    this.#options = options
  }

  /** Chunk after chunk, with some fetched ahead. */
  async *read(job: JobSpace, object: Version & { manifest: Manifest }): AsyncGenerator<Buffer> {
    const ahead: Promise<Buffer>[] = []
    for (const { index } of chunksOf(object.manifest)) {
      ahead.push(this.#fetch(job, object, index))
      if (ahead.length >= KEPT_CHUNKS_AHEAD) yield await (ahead.shift() as Promise<Buffer>)
    }
    for (const chunk of ahead) yield await chunk
  }

  async #fetch(job: JobSpace, { bucket, key, version }: Version, index: number): Promise<Buffer> {
    const { self, largeObjects, placements, pool, clock } = this.#options
    const hash = hashChunk(hashKey(key, bucket), version, index)
    const owner = await placements.ownerOf(job, (slots) => slotOf(hash, slots))
    if (owner === null) throw new MayflyError('UNAVAILABLE', `Nobody has chunk ${index} of the object yet`)
    const request = { job: job.id, bucket, key: Buffer.from(key), version, index }
    try {
      if (owner.id === self) return copyOf(await largeObjects.getChunk(job, wholeChunk(request)))
      const caller = await pool.to(owner.address)
      const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
      return (await caller.call(peerOperations.chunk, request, { deadlineMs })).payload
    } catch (error) {
      placements.forget(job.id)
      throw error
    }
  }
}

/** The request of a client that would ask for the same. */
export function wholeChunk(
  chunk: Omit<DataRequests['chunkGet'], 'epoch' | 'offset' | 'length'>,
): DataRequests['chunkGet'] {
  return { ...chunk, epoch: 0, offset: 0, length: 0 }
}

/** What lies in the arena may move on or change hands once its pin is let go. */
function copyOf({ payload, sent }: Reply<unknown>): Buffer {
  const copy = Buffer.concat(
    payload === undefined || payload instanceof Uint8Array ? [payload ?? nothing] : payload,
  )
  sent?.()
  return copy
}

const nothing = Buffer.alloc(0)
