import { CHUNK_OVERHEAD_BYTES } from '../limits.ts'
import type { JobMemory } from '../memory/job-memory.ts'
import { freeParts, takeParts, writeParts } from '../memory/payload.ts'
import type { Location, Part } from '../memory/record.ts'
import { BLOCK_BYTES } from '../memory/slab.ts'
import { type JobTiers, RAM } from '../tiers/job-tiers.ts'
import type { KeyString } from './key-string.ts'
import type { PendingEntries } from './pending-entries.ts'
import type { Holder } from './slot-objects.ts'

/** A chunk of a large object, or the entry of one whose bytes are elsewhere or lost. */
export type Chunk = StoredChunk | DemotedChunk | RemoteChunk | LostChunk

/** A chunk whose bytes are in the arena. */
export class StoredChunk {
  readonly bytes: number
  readonly parts: readonly Part[]
  readonly tier = RAM
  /** As `StoredObject.reads`. */
  reads: number

  constructor(bytes: number, parts: readonly Part[], reads = 0) {
    this.bytes = bytes
    this.parts = parts
    this.reads = reads
  }
}

/** A chunk whose bytes are on a tier below RAM. */
export class DemotedChunk {
  readonly bytes: number
  readonly location: Location
  reads: number

  constructor(bytes: number, location: Location, reads: number) {
    this.bytes = bytes
    this.location = location
    this.reads = reads
  }

  get tier(): number {
    return this.location.tier
  }
}

/** A chunk that a handoff has announced and whose bytes have not arrived. */
export class RemoteChunk {
  readonly bytes: number
  /** The tier that its room is charged to. */
  readonly tier: number

  constructor(bytes: number, tier: number) {
    this.bytes = bytes
    this.tier = tier
  }
}

export class LostChunk {
  readonly bytes = 0
  readonly tier = RAM
}

/** The chunks of one version of a large object that fall into one slot. */
export interface ChunkGroup {
  readonly bucket: number
  readonly key: Buffer
  readonly version: number
  readonly chunks: Map<number, Chunk>
  /** CRC-32 of the chunks whose writer computed one. */
  readonly checksums: Map<number, number>
}

/** Shared by slots that never had chunks. */
const noGroups = new Map<string, ChunkGroup>()

/**
 * The chunks that hash to one slot. They are few and large, so each is a JavaScript object with its bytes in
 * runs.
 */
export class SlotChunks {
  readonly #memory: JobMemory
  readonly #tiers: JobTiers
  readonly #pendingEntries: PendingEntries
  #groups = noGroups
  #chargedBytes = 0

  constructor({ memory, tiers }: Holder, settling: PendingEntries) {
    this.#memory = memory
    this.#tiers = tiers
    this.#pendingEntries = settling
  }

  /** By `chunkGroupKey`. */
  get groups(): ReadonlyMap<string, ChunkGroup> {
    return this.#groups
  }

  /** Charged to the job's RAM. */
  get chargedBytes(): number {
    return this.#chargedBytes
  }

  find(groupKey: string, index: number): Chunk | undefined {
    return this.#groups.get(groupKey)?.chunks.get(index)
  }

  /** Null if its writer computed none. */
  checksumOf(groupKey: string, index: number): number | null {
    return this.#groups.get(groupKey)?.checksums.get(index) ?? null
  }

  /** Writes the bytes of a chunk into the arena. Throws `CAPACITY_EXCEEDED`. */
  write(bytes: Uint8Array): StoredChunk {
    const memory = this.#memory
    const landed = memory.landed(bytes)
    if (landed !== null) {
      memory.adopt(landed)
      return new StoredChunk(bytes.length, [landed])
    }
    let parts = takeParts(memory, bytes.length)
    if (parts === null) {
      memory.retryCompacting(() => {
        parts = takeParts(memory, bytes.length)
        return parts !== null
      })
    }
    writeParts(memory, { parts: parts ?? [], offset: 0 }, bytes)
    return new StoredChunk(bytes.length, parts ?? [])
  }

  /** As `write`, with a read count; null if there is no memory. */
  tryWrite(bytes: Uint8Array, reads: number): StoredChunk | null {
    const parts = takeParts(this.#memory, bytes.length)
    if (parts === null) return null
    writeParts(this.#memory, { parts, offset: 0 }, bytes)
    return new StoredChunk(bytes.length, parts, reads)
  }

  set(
    version: Omit<ChunkGroup, 'chunks' | 'checksums'>,
    entry: { groupKey: string; index: number; checksum: number | null },
    chunk: Chunk,
  ): void {
    let group = this.#groups.get(entry.groupKey)
    if (group === undefined) {
      if (this.#groups === noGroups) this.#groups = new Map()
      group = { ...version, chunks: new Map(), checksums: new Map() }
      this.#groups.set(entry.groupKey, group)
    }
    const before = group.chunks.get(entry.index)
    group.chunks.set(entry.index, chunk)
    if (entry.checksum === null) group.checksums.delete(entry.index)
    else group.checksums.set(entry.index, entry.checksum)
    this.#chargedBytes += chargeOfChunk(chunk)
    if (chunk.tier !== RAM) this.#tiers.charge(chunk.tier, chunk.bytes)
    if (chunk instanceof RemoteChunk) this.#pendingEntries.added()
    if (before !== undefined) this.#free(before)
  }

  /** Returns the bytes that the chunks were charged. */
  removeGroup(groupKey: string): number {
    const before = this.#chargedBytes
    const group = this.#groups.get(groupKey)
    this.#groups.delete(groupKey)
    for (const chunk of group?.chunks.values() ?? []) this.#free(chunk)
    return before - this.#chargedBytes
  }

  #free(chunk: Chunk): void {
    this.#chargedBytes -= chargeOfChunk(chunk)
    if (chunk.tier !== RAM) this.#tiers.charge(chunk.tier, -chunk.bytes)
    if (chunk instanceof DemotedChunk) this.#tiers.remove(chunk.location)
    if (chunk instanceof StoredChunk) freeParts(this.#memory, chunk.parts)
    if (chunk instanceof RemoteChunk) this.#pendingEntries.resolved()
  }
}

/** The charge of a chunk to the job's RAM. */
export function chargeOfChunk({ bytes, tier }: Chunk): number {
  return chunkCharge(tier === RAM ? bytes : 0)
}

/** The charge of a chunk with so many bytes in RAM. */
export function chunkCharge(bytes: number): number {
  return CHUNK_OVERHEAD_BYTES + Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

/** Names a group by key and version: versions are unique only within one slot. */
export function chunkGroupKey(bucket: number, key: KeyString, version: number): string {
  return `${bucket}/${version}/${key}`
}
