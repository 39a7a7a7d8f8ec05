import { CHUNK_BYTES } from '../limits.ts'
import type { Landing } from './frame.ts'

/** Of `getStream`, `getWithMetadata` and `putStream`, for the command and the gateway alone: memory for parts and chunks, which their caller gives back. */
export const chunkMemory: unique symbol = Symbol('memory of chunks')

/** Smaller parts take memory of their own. */
const REUSED_BYTES_MIN = 16 * 1024

/** Memory of chunks that is used again: with a fresh buffer for each MiB the garbage collector takes half of the time. */
export class ChunkMemory {
  readonly #free: Buffer[] = []
  readonly #freeMax: number

  /** Keeps up to `freeMax` chunks that are not in use. */
  constructor(freeMax: number) {
    this.#freeMax = freeMax
  }

  /** Memory for so many bytes, up to a chunk. */
  take(bytes: number): Buffer {
    if (bytes < REUSED_BYTES_MIN || bytes > CHUNK_BYTES) return Buffer.allocUnsafe(bytes)
    const chunk = this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
    return bytes === CHUNK_BYTES ? chunk : chunk.subarray(0, bytes)
  }

  /** Takes back what nobody reads or writes any more; other memory is ignored. */
  give({ buffer }: Buffer): void {
    if (buffer.byteLength === CHUNK_BYTES && this.#free.length < this.#freeMax)
      this.#free.push(Buffer.from(buffer))
  }
}

/** What a caller of the SDK may add to its options. */
export interface WithChunkMemory {
  readonly [chunkMemory]?: ChunkMemory
}

/** Receives an answer's payload into memory of `memory`. */
export function landIn(memory: ChunkMemory | undefined): ((payloadBytes: number) => Landing) | undefined {
  if (memory === undefined) return undefined
  return (payloadBytes) => {
    const bytes = memory.take(payloadBytes)
    return { bytes, abandon: () => memory.give(bytes) }
  }
}
