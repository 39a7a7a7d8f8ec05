import { assert } from '../../protocol/assert.ts'
import { hashChunk, hashKey } from '../../protocol/model/hash.ts'
import { chunksOf, type Manifest } from '../../protocol/model/manifest.ts'
import type { DataRequests } from '../../protocol/operations/data-operations.ts'
import { peerOperations } from '../../protocol/operations/plane-operations.ts'
import { ByteRanges } from '../../protocol/wire/byte-ranges.ts'
import { PERSISTED_CHUNKS_AHEAD } from '../../service/persisted/persisted-limits.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { NodeJob } from '../job/job.ts'
import type { LargeObjects } from '../operations/large-objects.ts'
import type { OwnerCalls } from './owner-calls.ts'

interface ChunkReaderOptions {
  readonly largeObjects: LargeObjects
  readonly owners: OwnerCalls
}

interface Version {
  readonly bucket: number
  readonly key: Uint8Array
  readonly version: number
}

/** Reads chunks of large objects from any node of the job. */
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
      if (ahead.length >= PERSISTED_CHUNKS_AHEAD) yield await (ahead.shift() as Promise<Buffer>)
    }
    for (const chunk of ahead) yield await chunk
  }

  async #fetch(job: NodeJob, { bucket, key, version }: Version, index: number): Promise<Buffer> {
    const { largeObjects } = this.#options
    const request = { job: job.id, bucket, key: Buffer.from(key), version, index }
    return await this.#options.owners.run(
      job,
      hashChunk(hashKey(key, bucket), version, index),
      async () => copyOf(await largeObjects.getChunk(job, wholeChunk(request), here)),
      async (caller, deadlineMs) =>
        (await caller.call(peerOperations.chunk, request, { deadlineMs })).payload,
    )
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
  assert(!(payload instanceof ByteRanges), 'a chunk is not a batch')
  const copy = Buffer.concat(
    payload === undefined || payload instanceof Uint8Array ? [payload ?? nothing] : payload,
  )
  sent?.()
  return copy
}

const nothing = Buffer.alloc(0)
/** The chunk goes to the persistent store from here, so it must stay. */
const here = { peer: null, mustStore: true }
