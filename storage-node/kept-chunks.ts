import { isError, MayflyError } from '../protocol/errors.ts'
import { chunksOf } from '../protocol/manifest.ts'
import type { KeptName, KeptStore } from '../service/kept/kept-store.ts'
import type { JobSpace } from './job-space.ts'
import { keptName } from './kept-names.ts'
import type { KeyTurns } from './key-turns.ts'
import type { ObjectTable } from './object-table.ts'
import { type ChunkName, locate, type Place } from './place.ts'
import { manifestOf } from './stored-object.ts'
import { TierReads } from './tier-reads.ts'

interface KeptChunksOptions {
  readonly table: ObjectTable
  readonly store: KeptStore
  readonly turns: KeyTurns
}

/** Chunks of objects that are kept, for nodes that have lost them or, where the object has come back, never had them. */
export class KeptChunks {
  readonly #options: KeptChunksOptions
  readonly #reads = new TierReads()

  constructor(options: KeptChunksOptions) {
    this.#options = options
  }

  /**
   * Null where the key has no such version, or it is not kept. In the key's turn, for the store has the next version before the slot
   * has. Rejects with `OBJECT_LOST` where somebody else has removed what lay there.
   */
  async read(job: JobSpace, chunk: ChunkName): Promise<Buffer | null> {
    const own = { ...chunk, key: Buffer.from(chunk.key) }
    // A version that is being put waits for its chunks in its turn.
    if (this.#find(job, locate(job, own), own) === null) return null
    return await this.#options.turns.take(job, own, async (place) => {
      const found = this.#find(job, place, own)
      if (found === null) return null
      const bytes = await this.#readStore(found.name, found)
      if (bytes !== null) return bytes
      this.#lose(job, place)
      throw new MayflyError('OBJECT_LOST', 'The object is not in the kept store any more')
    })
  }

  /** Null where they are not there. */
  async #readStore(
    name: KeptName,
    { offset, length }: { offset: number; length: number },
  ): Promise<Buffer | null> {
    try {
      const bytes = await this.#reads.run(length, () => this.#options.store.get(name, { offset, length }))
      return bytes.length === length ? bytes : null
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return null
      throw error
    }
  }

  /** Neither the nodes nor the store have all of its bytes. */
  #lose(job: JobSpace, place: Place): void {
    const { table } = this.#options
    const object = table.find(job, place)
    if (object !== undefined) table.remove(job, place, object)
    place.slot.kept.remove(place)
    place.slot.lose(place)
  }

  #find(
    job: JobSpace,
    place: Place,
    { version, index }: ChunkName,
  ): { name: KeptName; offset: number; length: number } | null {
    const bucket = place.slot.kept.bucketOf(place)
    const object = this.#options.table.find(job, place)
    if (bucket === '' || object?.version !== version) return null
    const name = keptName(job.id, place.key, bucket)
    for (const { index: at, offset, bytes } of chunksOf(manifestOf(job.memory, object)))
      if (at === index) return { name, offset, length: bytes }
    return null
  }
}
