import { copyRange } from './copy-bytes.ts'

/**
 * Ranges of several memories, in order: a payload of many small values that is copied when it is queued, without a
 * view of each.
 */
export class ByteRanges {
  readonly #memories: Uint8Array[] = []
  /** Start and length of each. */
  readonly #bounds: number[] = []
  #bytes = 0

  /** Of all ranges together. */
  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#memories.length
  }

  add(memory: Uint8Array, start: number, length: number): void {
    this.#memories.push(memory)
    this.#bounds.push(start, length)
    this.#bytes += length
  }

  memoryAt(index: number): Uint8Array {
    return this.#memories[index] as Uint8Array
  }

  startAt(index: number): number {
    return this.#bounds[2 * index] as number
  }

  lengthAt(index: number): number {
    return this.#bounds[2 * index + 1] as number
  }

  /** All ranges in memory of their own. */
  copy(): Buffer {
    const copied = Buffer.allocUnsafe(this.#bytes)
    let at = 0
    for (let index = 0; index < this.count; index++) {
      const length = this.lengthAt(index)
      copyRange(this.memoryAt(index), this.startAt(index), length, copied, at)
      at += length
    }
    return copied
  }
}
