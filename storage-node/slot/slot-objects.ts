import { PAYLOAD_COPIED_BYTES_MAX } from '../../protocol/limits.ts'
import type { JobMemory } from '../memory/job-memory.ts'
import { capacityOf, freeParts, takeParts, writeParts } from '../memory/payload.ts'
import type { PlainKey, PlainRead, PlainRecord } from '../memory/plain-record.ts'
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
import type { RecordKey } from '../memory/record-key.ts'
import { SlotTable } from '../memory/slot-table.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import type { JobTiers } from '../tiers/job-tiers.ts'
import { type AppendPlan, partBytes } from './append-plan.ts'
import type { PendingEntries } from './pending-entries.ts'
import { isRemote, objectCharge, readObject, type StoredObject } from './stored-object.ts'

/** An object to be stored. */
export interface NewObject extends ObjectFields {
  /** Empty for a remote object; an encoded location for one below RAM. */
  readonly content: Uint8Array
}

/** What an object holds besides its record. */
interface Holdings {
  readonly parts: readonly Part[]
  /** Where its bytes, or their reserved room, are below RAM; else null. */
  readonly lower: Location | null
}

/** The memory and tiers that hold the objects' bytes. */
export interface Holder {
  readonly memory: JobMemory
  readonly tiers: JobTiers
}

const nothing = Buffer.alloc(0)
const noParts: readonly Part[] = []
const recordAlone: Holdings = { parts: noParts, lower: null }

/** The objects of one slot: a table of records, and runs with the bytes of larger objects. */
export class SlotObjects {
  readonly #memory: JobMemory
  readonly #tiers: JobTiers
  readonly #table: SlotTable
  readonly #pendingEntries: PendingEntries
  #expiring = 0
  #chargedBytes = 0
  /** No object expires before this, as far as the expiry sweep knows. */
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

  /** Objects with a time to live. */
  get expiring(): number {
    return this.#expiring
  }

  /** Charged to the job's RAM. */
  get chargedBytes(): number {
    return this.#chargedBytes
  }

  find(key: KeyHash): StoredObject | undefined {
    return this.#table.find(key)
  }

  /**
   * Replaces `before`, the current object under the key. False, with nothing changed, if there is no memory.
   */
  set(key: KeyHash, object: NewObject, before: StoredObject | undefined): boolean {
    const memory = this.#memory
    const { content } = object
    const landed = memory.landed(content)
    const parts = landed === null ? this.#writeApart(object) : [landed]
    if (parts === null) return false
    const inline = parts.length === 0 && object.kind !== Kind.appended ? content : nothing
    if (!this.#replace({ key, object, before }, { parts, content: inline })) {
      if (landed === null) freeParts(memory, parts)
      return false
    }
    if (landed !== null) memory.adopt(landed)
    return true
  }

  has(key: PlainKey): boolean {
    return this.#table.has(key)
  }

  /** As `SlotTable.findPlain`. */
  findPlain(read: PlainRead): boolean {
    return this.#table.findPlain(read)
  }

  /** As `SlotTable.setPlain`. */
  setPlain(record: PlainRecord, holder: { admit(bytes: number): void }): number | null {
    const change = this.#table.setPlain(record, holder)
    if (change !== null) this.#chargedBytes += change
    return change
  }

  /** As `SlotTable.removePlain`. */
  removePlain(key: PlainKey): number {
    const charge = this.#table.removePlain(key)
    if (charge > 0) this.#chargedBytes -= charge
    return charge
  }

  /**
   * Appends `payload` to `before` as planned; `object` is the result. False, with nothing changed, if there
   * is no memory.
   */
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
    if (this.#replace({ key, object, before }, { parts, content: nothing })) return true
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

  /** As `SlotTable.scanKeys`. */
  scanKeys(from: number, cells: number, visit: (key: RecordKey) => void): number | null {
    return this.#table.scanKeys(from, cells, visit)
  }

  /** Returns the table's number to the job. The table must be empty. */
  releaseTable(): void {
    this.#table.release()
  }

  /** Allocates runs for content that is not inline: none if it is inline, null if there is no memory. */
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
      // An appended object keeps its existing runs.
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

/** Skips the lookup for objects without runs or lower location, which most are. */
function holdingsOf(object: StoredObject): Holdings {
  const { kind, partCount } = object
  if (partCount === 0 && !isOnLowerTier(kind)) return recordAlone
  return { parts: object.parts, lower: isOnLowerTier(kind) ? object.location : null }
}
