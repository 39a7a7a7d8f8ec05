import { SLAB_BYTES, SLABS_KEPT_MAX } from '../limits.ts'

/**
 * Memory for encoding frames. A connection has a slab only while it writes or its bytes wait in a socket: ten
 * thousand idle connections have none, and a busy one reuses the same memory.
 */
const kept: Buffer[] = []

export function takeSlab(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
}

/** The slab's bytes are written, or never will be. */
export function giveSlab(slab: Buffer): void {
  if (kept.length < SLABS_KEPT_MAX) kept.push(slab)
}
