import { NOWHERE } from './arena.ts'
import type { JobMemory } from './job-memory.ts'
import type { Part } from './record.ts'
import { PARTS_MAX } from './record.ts'
import { BLOCK_BYTES } from './slab.ts'

/** A piece of a payload. */
export interface Piece {
  readonly bytes: Buffer
  /** Where `bytes` is a view of the arena, the run that it lies in; null for a copy. */
  readonly run: Part | null
}

/**
 * Runs for a payload: one where there is one that is long enough, else the longest that there are, so that an arena
 * with no long run left costs a copy at reading and not a refusal. Null if the arena is full.
 */
export function takeParts(memory: JobMemory, bytes: number): Part[] | null {
  const blocks = Math.ceil(bytes / BLOCK_BYTES)
  const at = memory.take(blocks)
  if (at !== NOWHERE) return [{ at, blocks }]
  const parts: Part[] = []
  for (let missing = blocks; missing > 0; ) {
    const part = parts.length < PARTS_MAX ? memory.takeLongest(missing) : null
    if (part === null) {
      freeParts(memory, parts)
      return null
    }
    parts.push(part)
    missing -= part.blocks
  }
  return parts
}

export function freeParts(memory: JobMemory, parts: readonly Part[]): void {
  for (const { at, blocks } of parts) memory.free(at, blocks)
}

/** Of all parts together. */
export function capacityOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { blocks }) => sum + blocks * BLOCK_BYTES, 0)
}

/** Writes bytes into the parts, from `offset` of the whole on. */
export function writeParts(
  memory: JobMemory,
  to: { parts: readonly Part[]; offset: number },
  bytes: Uint8Array,
): void {
  let skip = to.offset
  let written = 0
  for (const { at, blocks } of to.parts) {
    const capacity = blocks * BLOCK_BYTES
    const count = Math.min(bytes.length - written, capacity - skip)
    if (count > 0) {
      memory.arena.view(at, capacity).set(bytes.subarray(written, written + count), skip)
      written += count
    }
    skip = Math.max(0, skip - capacity)
  }
}

/** Bytes of the parts: a view where they lie in one, else a copy. */
export function readParts(
  memory: JobMemory,
  parts: readonly Part[],
  { offset, bytes }: { offset: number; bytes: number },
): Piece {
  const views: Buffer[] = []
  let run: Part | null = null
  let skip = offset
  let missing = bytes
  for (const part of parts) {
    const capacity = part.blocks * BLOCK_BYTES
    const count = Math.min(missing, capacity - skip)
    if (count > 0) {
      views.push(memory.arena.view(part.at, capacity).subarray(skip, skip + count))
      run = part
      missing -= count
    }
    skip = Math.max(0, skip - capacity)
  }
  const [first] = views
  return views.length === 1 && first !== undefined
    ? { bytes: first, run }
    : { bytes: Buffer.concat(views), run: null }
}
