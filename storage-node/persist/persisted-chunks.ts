import { isError, MayflyError } from '../../protocol/errors.ts'
import { chunksOf } from '../../protocol/model/manifest.ts'
import type { KeptName, KeptStore, Stamp } from '../../service/kept/kept-store.ts'
import type { JobSpace } from '../job/job.ts'
import type { KeyTurns } from '../job/key-mutex.ts'
import { type ChunkName, locate, type Place } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { KeptState, keptName } from '../slot/persisted-names.ts'
import { manifestOf } from '../slot/stored-object.ts'
import { TierReads } from '../tiers/read-semaphore.ts'
import { enterKept, returningOf } from './persisted-entry.ts'

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
      const bytes = await this.#readStore(found)
      if (bytes !== null) return bytes
      if (await this.#follow(job, place, found.name)) return null
      this.#lose(job, place)
      throw new MayflyError('OBJECT_LOST', 'The object is not in the kept store any more')
    })
  }

  /** Null where they are not there. */
  async #readStore({ name, stamp, offset, length }: Piece): Promise<Buffer | null> {
    try {
      const range = { offset, length }
      const bytes = await this.#reads.run(length, () => this.#options.store.get(name, range, stamp))
      return bytes.length === length ? bytes : null
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return null
      throw error
    }
  }

  /**
   * A put of unknown outcome has come to the store after all and replaced what the slot believed to lie there: it takes place in the slot
   * now. False where no such thing lies there.
   */
  async #follow(job: JobSpace, place: Place, name: KeptName): Promise<boolean> {
    const found = await this.#options.store.describe(name)
    const returning = found === null ? null : returningOf(found)
    if (returning === null || returning.stamp.bucketId !== place.bucket) return false
    const { slot } = locate(job, place)
    const { version } = returning.stamp
    enterKept(job, { slot, of: place }, returning)
    slot.kept.set(place, { name: returning.bucket, version, state: KeptState.object })
    return true
  }

  /** Neither the nodes nor the store have all of its bytes. */
  #lose(job: JobSpace, place: Place): void {
    const { table } = this.#options
    const object = table.find(job, place)
    if (object !== undefined) table.remove(job, place, object)
    place.slot.kept.remove(place)
    place.slot.lose(place)
  }

  #find(job: JobSpace, place: Place, { version, index }: ChunkName): Piece | null {
    const mark = place.slot.kept.find(place)
    const object = this.#options.table.find(job, place)
    if (mark?.state !== KeptState.object || object?.version !== version) return null
    const name = keptName(job.id, place.key, mark.name)
    const stamp = { bucketId: place.bucket, version: mark.version }
    for (const { index: at, offset, bytes } of chunksOf(manifestOf(job.memory, object)))
      if (at === index) return { name, stamp, offset, length: bytes }
    return null
  }
}

/** Where the bytes of a chunk are in the store. */
interface Piece {
  readonly name: KeptName
  readonly stamp: Stamp
  readonly offset: number
  readonly length: number
}
