import { PAYLOAD_COPIED_BYTES_MAX } from '../../protocol/limits.ts'
import type { JobMemory } from '../memory/job-memory.ts'
import { capacityOf, freeParts, takeParts, writeParts } from '../memory/payload.ts'
import {
  apartBytesOf,
  chargeOf,
  decodeLocation,
  isOnLowerTier,
  Kind,
  type Location,
  type ObjectFields,
  type Part,
} from '../memory/record.ts'
import { SlotTable } from '../memory/slot-table.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import type { JobTiers } from '../tiers/job-tiers.ts'
import { type AppendPlan, partBytes } from './append-plan.ts'
import type { PendingEntries } from './pending-entries.ts'
import { isRemote, objectCharge, readObject, type StoredObject } from './stored-object.ts'

/** An object that is to be stored. */
export interface NewObject extends ObjectFields {
  /** Empty where it is remote, and where it lies below RAM its encoded location. */
  readonly content: Uint8Array
}

/** What an object has beside its record. */
interface Holdings {
  readonly parts: readonly Part[]
  /** Where its bytes, or the room for them, are below RAM; null where they are not. */
  readonly lower: Location | null
}

/** Where the objects of a slot have their bytes. */
export interface Holder {
  readonly memory: JobMemory
  readonly tiers: JobTiers
}

const nothing = Buffer.alloc(0)
const noParts: readonly Part[] = []
const recordAlone: Holdings = { parts: noParts, lower: null }

/** The objects of one slot: records in a table, with the runs in which larger ones have their bytes. */
export class SlotObjects {
  readonly #memory: JobMemory
  readonly #tiers: JobTiers
  readonly #table: SlotTable
  readonly #pendingEntries: PendingEntries
  #expiring = 0
  #chargedBytes = 0
  /** No object is over before this, as far as whoever looks for those that are has seen. */
  earliestExpiryMs = Number.POSITIVE_INFINITY

  constructor({ memory, tiers }: Holder, settling: PendingEntries) {
    this.#memory = memory
    this.#tiers = tiers
    this.#table = new SlotTable(memory)
    this.#pendingEntries = settling
  }

  get size(): number {
    return this.#table.size
  }

  /** How many have a time to live. */
  get expiring(): number {
    return this.#expiring
  }

  /** What they count against their job's RAM. */
  get chargedBytes(): number {
    return this.#chargedBytes
  }

  find(key: KeyHash): StoredObject | undefined {
    return this.#table.find(key)
  }

  /** Puts an object in the place of `before`, which is what is under the key. False, with nothing changed, if there is no memory. */
  set(key: KeyHash, object: NewObject, before: StoredObject | undefined): boolean {
    const memory = this.#memory
    const { content } = object
    const landed = memory.landed(content)
    const parts = landed === null ? this.#writeApart(object) : [landed]
    if (parts === null) return false
    const inline = parts.length === 0 && object.kind !== Kind.appended ? content : nothing
    if (!this.#replace({ key: key, object, before }, { parts, content: inline })) {
      if (landed === null) freeParts(memory, parts)
      return false
    }
    if (landed !== null) memory.adopt(landed)
    return true
  }

  /** Adds `payload` to `before`, as planned. `object` is what it is then. False, with nothing changed, if there is no memory. */
  grow(
    key: KeyHash,
    append: { before: StoredObject | undefined; object: NewObject; growth: AppendPlan },
    payload: Uint8Array,
  ): boolean {
    const { before, object, growth } = append
    const memory = this.#memory
    const grows = before?.kind === Kind.appended
    const present = grows ? before.parts : noParts
    const added = growth.addedBytes === 0 ? noParts : takeParts(memory, growth.addedBytes)
    if (added === null) return false
    const parts = [...present, ...added]
    let offset = grows ? before.bytes : 0
    if (before !== undefined && !grows) {
      for (const view of readObject(memory, before, { offset: 0, bytes: before.bytes }).views) {
        writeParts(memory, { parts, offset }, view)
        offset += view.length
      }
    }
    writeParts(memory, { parts, offset }, payload)
    if (grows && added.length === 0 && (before.checksum === null) === (object.checksum === null)) {
      before.grow(object)
      return true
    }
    if (this.#replace({ key: key, object, before }, { parts, content: nothing })) return true
    freeParts(memory, added)
    return false
  }

  remove(key: KeyHash, object: StoredObject): void {
    const { parts, lower: below } = holdingsOf(object)
    this.#chargedBytes -= objectCharge(object)
    this.#table.remove(key)
    freeParts(this.#memory, parts)
    this.#uncount(object, below)
  }

  noteExpiry(atMs: number): void {
    this.earliestExpiryMs = Math.min(this.earliestExpiryMs, atMs)
  }

  /** As `SlotTable.scan`. */
  scan(from: number, cells: number, visit: (object: StoredObject, hash: number) => void): number | null {
    return this.#table.scan(from, cells, visit)
  }

  /** Gives what the table itself takes back. It must be empty. */
  releaseTable(): void {
    this.#table.release()
  }

  /** Runs for content that does not lie with its record; none where it does, null if there is no memory. */
  #writeApart({ kind, content }: NewObject): readonly Part[] | null {
    if (kind !== Kind.appended && content.length <= PAYLOAD_COPIED_BYTES_MAX) return noParts
    const bytes = kind === Kind.appended ? partBytes(content.length, 0) : content.length
    const parts = takeParts(this.#memory, bytes)
    if (parts !== null) writeParts(this.#memory, { parts, offset: 0 }, content)
    return parts
  }

  #replace(
    put: { key: KeyHash; object: NewObject; before: StoredObject | undefined },
    { parts, content }: { parts: readonly Part[]; content: Uint8Array },
  ): boolean {
    const { key: of, object, before } = put
    const { kind } = object
    const replaced = before === undefined ? recordAlone : holdingsOf(before)
    const replacedBytes = objectCharge(before)
    if (!this.#table.set({ key: of, object, parts, content }, before)) return false
    const apartBytes = kind === Kind.appended ? capacityOf(parts) : apartBytesOf(object)
    const sizes = { keyBytes: of.key.length, metadataBytes: object.metadata.length, apartBytes }
    this.#chargedBytes += chargeOf(object, sizes) - replacedBytes
    this.#count(object, isOnLowerTier(kind) ? decodeLocation(object.content) : null)
    if (before === undefined) return true
    if (replaced.parts.length > 0) {
      // Of an object that grew, the runs are its own still.
      const retained = kind === Kind.appended ? parts : noParts
      freeParts(
        this.#memory,
        replaced.parts.filter(({ at }) => !retained.some((part) => part.at === at)),
      )
    }
    this.#uncount(before, replaced.lower)
    return true
  }

  #count({ kind, bytes, expiresAtMs }: Counted, below: Location | null): void {
    if (below !== null) this.#tiers.count(below.tier, { objects: 1, bytes })
    if (isRemote({ kind })) this.#pendingEntries.added()
    if (expiresAtMs === 0) return
    this.#expiring++
    this.noteExpiry(expiresAtMs)
  }

  #uncount({ kind, bytes, expiresAtMs }: Counted, below: Location | null): void {
    if (below !== null) {
      this.#tiers.count(below.tier, { objects: -1, bytes })
      this.#tiers.remove(below)
    }
    if (expiresAtMs !== 0) this.#expiring--
    if (isRemote({ kind })) this.#pendingEntries.resolved()
  }
}

type Counted = Pick<NewObject, 'kind' | 'bytes' | 'expiresAtMs'>

/** Most objects have none, and are read for it at every put. */
function holdingsOf(object: StoredObject): Holdings {
  const { kind, partCount } = object
  if (partCount === 0 && !isOnLowerTier(kind)) return recordAlone
  return { parts: object.parts, lower: isOnLowerTier(kind) ? object.location : null }
}
