import { isError, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { hashChunk, hashKey, slotOf } from '../../protocol/model/hash.ts'
import { chunksOf, type Manifest } from '../../protocol/model/manifest.ts'
import { peerOperations } from '../../protocol/operations/control-operations.ts'
import type { DataRequests } from '../../protocol/operations/data-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { KEPT_CHUNKS_AHEAD } from '../../service/kept/kept-limits.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { NodeJob } from '../job/job.ts'
import type { ChunkName } from '../job/locate.ts'
import type { PlacementCache } from '../membership/placement-cache.ts'
import type { LargeObjects } from '../operations/large-objects.ts'

export interface ChunkReaderOptions {
  /** Id of this node. */
  readonly self: string
  readonly largeObjects: LargeObjects
  readonly placements: PlacementCache
  readonly pool: CallerPool
  readonly clock: Clock
}

interface Version {
  readonly bucket: number
  readonly key: Uint8Array
  readonly version: number
}

/** Reads chunks of large objects from any node of the job, and persisted chunks from the owner of the key. */
export class ChunkReader {
  readonly #options: ChunkReaderOptions

  constructor(options: ChunkReaderOptions) {
    this.#options = options
  }

  /** All chunks in order, with prefetching. */
  async *read(job: NodeJob, object: Version & { manifest: Manifest }): AsyncGenerator<Buffer> {
    const ahead: Promise<Buffer>[] = []
    for (const { index } of chunksOf(object.manifest)) {
      const chunk = this.#fetch(job, object, index)
      // If one fails, nobody awaits the prefetched ones after it.
      chunk.catch(() => undefined)
      ahead.push(chunk)
      if (ahead.length >= KEPT_CHUNKS_AHEAD) yield await (ahead.shift() as Promise<Buffer>)
    }
    for (const chunk of ahead) yield await chunk
  }

  /** A chunk that its own node lacks: null if the owner of the key has not persisted its object either. */
  async readPersisted(
    job: NodeJob,
    { bucket, key, version, index }: ChunkName,
    here: () => Promise<Buffer | null>,
  ): Promise<Buffer | null> {
    const request = { job: job.id, bucket, key, version, index }
    try {
      return await this.#atOwner(job, hashKey(key, bucket), here, async (caller, deadlineMs) => {
        return (await caller.call(peerOperations.keptChunk, request, { deadlineMs })).payload
      })
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return null
      // The placement that is stale is this node's, not that of the client that asks for the chunk.
      if (!isError(error, 'STALE_PLACEMENT')) throw error
      throw new MayflyError('UNAVAILABLE', 'Nobody knows yet whether the object of the chunk is kept', {
        cause: error,
      })
    }
  }

  async #fetch(job: NodeJob, { bucket, key, version }: Version, index: number): Promise<Buffer> {
    const { largeObjects } = this.#options
    const request = { job: job.id, bucket, key: Buffer.from(key), version, index }
    return await this.#atOwner(
      job,
      hashChunk(hashKey(key, bucket), version, index),
      async () => copyOf(await largeObjects.getChunk(job, wholeChunk(request), here)),
      async (caller, deadlineMs) =>
        (await caller.call(peerOperations.chunk, request, { deadlineMs })).payload,
    )
  }

  /** Runs the operation on the owner of the hash's slot, locally or by a call. */
  async #atOwner<Result>(
    job: NodeJob,
    hash: number,
    here: () => Promise<Result>,
    there: (caller: Caller, deadlineMs: number) => Promise<Result>,
  ): Promise<Result> {
    const { self, placements, pool, clock } = this.#options
    const owner = await placements.ownerOf(job, (slots) => slotOf(hash, slots))
    if (owner === null) throw new MayflyError('UNAVAILABLE', 'A slot of the object has no owner yet')
    try {
      if (owner.id === self) return await here()
      return await there(await pool.to(owner.address), clock.monotonicMs() + CONTROL_CALL_MS)
    } catch (error) {
      placements.forget(job.id)
      throw error
    }
  }
}

/** The equivalent client request. */
export function wholeChunk(
  chunk: Omit<DataRequests['chunkGet'], 'epoch' | 'offset' | 'length'>,
): DataRequests['chunkGet'] {
  return { ...chunk, epoch: 0, offset: 0, length: 0 }
}

/** Bytes in the arena may move or be reused after their pin is released. */
function copyOf({ payload, sent }: Reply<unknown>): Buffer {
  const copy = Buffer.concat(
    payload === undefined || payload instanceof Uint8Array ? [payload ?? nothing] : payload,
  )
  sent?.()
  return copy
}

const nothing = Buffer.alloc(0)
/** The chunk goes to the persistent store from here, so it must stay. */
const here = { peer: null, mustStore: true }
