import { isError } from '../../protocol/errors.ts'
import type { NodeJob } from '../job/job.ts'
import type { JobMemory } from '../memory/job-memory.ts'
import { type Piece, readParts } from '../memory/payload.ts'
import { Pin } from '../memory/pin.ts'
import type { Location } from '../memory/record.ts'
import { DemotedChunk, StoredChunk } from '../slot/chunks.ts'
import type { Slot } from '../slot/slot.ts'
import { isDemoted, isManifest, isOutsideRam, readObject, type StoredObject } from '../slot/stored-object.ts'
import { DEMOTED_BYTES_MIN } from '../tiers/limits.ts'
import { moveToLowerTier } from './storage-location.ts'

/** An object or a chunk on a tier that may be demoted. */
export interface DemotionCandidate {
  readonly bytes: number
  readonly reads: number
  /** Halves its read count: it was sampled and stays. */
  age(): void
  /**
   * Its bytes, which must not change until released. Bytes below RAM are read first; a failed read rejects.
   */
  take(): Taken
  /** Records its new location. False, with nothing changed, if it has changed since `take`. */
  commit(location: Location): boolean
}

interface Taken {
  readonly bytes: Buffer | Promise<Buffer>
  readonly release: () => void
}

/** An owned slot and its number. */
interface SlotEntry {
  readonly slot: Slot
  readonly index: number
}

export function objectCandidate(job: NodeJob, entry: SlotEntry, object: StoredObject): DemotionCandidate {
  const { bytes, bucket, version } = object
  const from = isDemoted(object) ? object.location : null
  let key = { bucket, key: Buffer.alloc(0), hash: 0 }
  return {
    bytes,
    reads: object.reads,
    age: () => {
      if (object.reads > 0) object.reads = object.reads >>> 1
    },
    take: () => {
      key = { bucket, key: Buffer.from(object.key), hash: object.hash }
      if (from !== null) return readLower(job, from, bytes)
      return readArena(job.memory, readObject(job.memory, object, { offset: 0, bytes }))
    },
    commit: (location) => {
      const now = job.slots[entry.index] === entry.slot ? entry.slot.find(key) : undefined
      if (now?.version !== version || isManifest(now) || !isStillAt(now, from)) return false
      try {
        moveToLowerTier(job, { slot: entry.slot, key }, location)
        return true
      } catch (error) {
        // The arena is full of other jobs' objects.
        if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
        return false
      }
    },
  }
}

/** All chunks of a slot that lie on a tier. */
export function* chunkCandidates(job: NodeJob, entry: SlotEntry, tier: number): Generator<DemotionCandidate> {
  const { chunks } = entry.slot
  for (const [groupKey, group] of chunks.groups) {
    for (const [index, chunk] of group.chunks) {
      if (chunk.tier !== tier || chunk.bytes < DEMOTED_BYTES_MIN) continue
      if (!(chunk instanceof StoredChunk || chunk instanceof DemotedChunk)) continue
      const { bytes } = chunk
      yield {
        bytes,
        reads: chunk.reads,
        age: () => {
          chunk.reads = chunk.reads >>> 1
        },
        take: () =>
          chunk instanceof DemotedChunk
            ? readLower(job, chunk.location, bytes)
            : readArena(job.memory, readParts(job.memory, chunk.parts, { offset: 0, bytes })),
        commit: (location) => {
          const isSame = job.slots[entry.index] === entry.slot && chunks.find(groupKey, index) === chunk
          if (!isSame) return false
          const checksum = chunks.checksumOf(groupKey, index)
          const below = new DemotedChunk(bytes, location, chunk.reads)
          job.track(entry.slot, () => chunks.set(group, { groupKey, index, checksum }, below))
          return true
        },
      }
    }
  }
}

/** Whether the bytes are still where they were read from; null is RAM. */
function isStillAt(object: StoredObject, location: Location | null): boolean {
  if (location === null || !isDemoted(object)) return location === null && !isOutsideRam(object)
  const { tier, record } = object.location
  return tier === location.tier && record === location.record
}

function readLower(job: NodeJob, location: Location, bytes: number): Taken {
  return { bytes: job.tiers.read(location, { offset: 0, length: bytes }), release: () => undefined }
}

/** Bytes in one run are pinned instead of copied. */
function readArena(memory: JobMemory, { views, runs }: Piece): Taken {
  const [first] = views
  if (first === undefined || views.length > 1 || runs.length === 0)
    return { bytes: Buffer.concat(views), release: () => undefined }
  const pin = new Pin(memory, runs)
  return { bytes: first, release: () => pin.release() }
}
