import { SLAB_BYTES, SLABS_KEPT_MAX } from '../limits.ts'

/**
 * Memory that frames are encoded into. A connection has a slab only while it writes or its bytes wait in a socket, so
 * ten thousand idle ones have none, and a busy one writes into the same memory again and again.
 */
const kept: Buffer[] = []

export function takeSlab(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
}

/** The slab's bytes are written, or never will be. */
export function giveSlab(slab: Buffer): void {
  if (kept.length < SLABS_KEPT_MAX) kept.push(slab)
}
