import { NOWHERE } from './arena.ts'
import type { JobMemory } from './job-memory.ts'
import type { Part } from './record.ts'
import { BLOCK_BYTES } from './slab.ts'

/** A range of a payload in the arena. */
export interface Piece {
  /** In order. Valid until something is stored; views of runs as long as the runs are pinned. */
  readonly views: readonly Buffer[]
  readonly runs: readonly Part[]
}

/**
 * Allocates runs for a payload: one if possible, else longer runs first, so that a fragmented arena still
 * accepts what it has room for. Null if it is full.
 */
export function takeParts(memory: JobMemory, bytes: number): readonly Part[] | null {
  const blocks = Math.ceil(bytes / BLOCK_BYTES)
  const at = memory.take(blocks)
  return at === NOWHERE ? memory.takeRuns(blocks) : [{ at, blocks }]
}

export function freeParts(memory: JobMemory, parts: readonly Part[]): void {
  for (const { at, blocks } of parts) memory.free(at, blocks)
}

/** Of all parts together. */
export function capacityOf(parts: readonly Part[]): number {
  let blocks = 0
  for (const part of parts) blocks += part.blocks
  return blocks * BLOCK_BYTES
}

/** Writes bytes into the parts, from `offset` of the whole on. */
export function writeParts(
  memory: JobMemory,
  target: { parts: readonly Part[]; offset: number },
  bytes: Uint8Array,
): void {
  let written = 0
  const range = { offset: target.offset, bytes: bytes.length }
  for (const view of readParts(memory, target.parts, range).views) {
    view.set(bytes.subarray(written, written + view.length))
    written += view.length
  }
}

export function readParts(
  memory: JobMemory,
  parts: readonly Part[],
  { offset, bytes }: { offset: number; bytes: number },
): Piece {
  const views: Buffer[] = []
  const runs: Part[] = []
  let skip = offset
  let missing = bytes
  for (const part of parts) {
    const capacity = part.blocks * BLOCK_BYTES
    const count = Math.min(missing, capacity - skip)
    if (count > 0) {
      views.push(memory.arena.view(part.at, count, skip))
      runs.push(part)
      missing -= count
    }
    skip = Math.max(0, skip - capacity)
  }
  return { views, runs }
}
