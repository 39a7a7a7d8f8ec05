import { NOWHERE } from './arena.ts'
import type { JobMemory } from './job-memory.ts'
import type { Part } from './record.ts'
import { BLOCK_BYTES } from './slab.ts'

/** Bytes of a payload where they lie in the arena. */
export interface Piece {
  /** In their order. Valid until something is stored, or, where they lie in runs, as long as those are pinned. */
  readonly views: readonly Buffer[]
  readonly runs: readonly Part[]
}

/**
 * Runs for a payload: one where there is one that is long enough, else long ones before short ones, so that an arena
 * with holes still takes what it has room for. Null if it is full.
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
