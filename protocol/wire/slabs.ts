import { SLAB_BYTES, SLABS_RETAINED_MAX } from '../limits.ts'

/**
 * Memory for encoding frames. A connection has a slab only while it writes or its bytes wait in a socket: ten
 * thousand idle connections have none, and a busy one reuses the same memory.
 */
const free: Buffer[] = []

export function takeSlab(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
}

/** The slab's bytes are written, or never will be. */
export function giveSlab(slab: Buffer): void {
  if (free.length < SLABS_RETAINED_MAX) free.push(slab)
}
