import { assert } from '../../protocol/assert.ts'
import type { Arena } from './arena.ts'
import { hasKey } from './record-key.ts'
import type { KeyHash } from './table-hash.ts'

export const HASHES = 2 ** 32
const CELLS_MIN = 8
/** Above this load a segment grows by half, so that on average four of six cells are in use. */
const LOAD_MAX = 0.8
const GROWTH = 1.5
/** Below this load it halves. */
const LOAD_MIN = 0.2

const noCells = new Uint32Array(0)

/**
 * The records of a table whose hashes are in one range: an open-addressing table in one typed array with two
 * words per cell: hash, address. Address 0 is an empty cell, since every page begins with a header. Cells are
 * in hash order.
 */
export class TableSegment {
  /** The first hash of the range, and the number of leading bits that its hashes share. */
  readonly low: number
  readonly depth: number
  readonly #span: number
  #cells = noCells
  #capacity = 0
  /** Cells per hash; exact, because the span is a power of two. */
  #scale = 0
  #size = 0

  constructor({ low, depth, cells = 0 }: { low: number; depth: number; cells?: number }) {
    this.low = low
    this.depth = depth
    this.#span = HASHES / 2 ** depth
    this.resize(cells)
  }

  get size(): number {
    return this.#size
  }

  get capacity(): number {
    return this.#capacity
  }

  /** The first hash after the range. */
  get end(): number {
    return this.low + this.#span
  }

  /** One more record needs more cells. */
  get isFull(): boolean {
    return this.#size + 1 > this.#capacity * LOAD_MAX
  }

  get isSparse(): boolean {
    return this.#size < this.#capacity * LOAD_MIN && this.#capacity > CELLS_MIN
  }

  /** -1 if the key is not here. */
  cellOf(arena: Arena, { hash, bucket, key }: KeyHash): number {
    return this.cellOfRange(arena, hash, bucket, key, 0, key.length)
  }

  /** As `cellOf`, for the key of `length` bytes in `keys` from `start` on. */
  cellOfRange(
    arena: Arena,
    hash: number,
    bucket: number,
    keys: Uint8Array,
    start: number,
    length: number,
  ): number {
    const cells = this.#cells
    const capacity = this.#capacity
    if (capacity === 0) return -1
    for (let cell = this.#homeOf(hash); ; cell = cell + 1 === capacity ? 0 : cell + 1) {
      const at = cells[2 * cell + 1] as number
      if (at === 0) return -1
      if (cells[2 * cell] === hash && hasKey(arena, at, bucket, keys, start, length)) return cell
    }
  }

  /** The cell of the record at an address, which must be here. */
  cellAt(hash: number, at: number): number {
    const capacity = this.#capacity
    let cell = this.#homeOf(hash)
    for (let step = 0; this.addressAt(cell) !== at; step++) {
      assert(step < capacity, 'a record that is replaced is in the table')
      cell = cell + 1 === capacity ? 0 : cell + 1
    }
    return cell
  }

  addressAt(cell: number): number {
    return this.#cells[2 * cell + 1] as number
  }

  moveTo(cell: number, at: number): void {
    this.#cells[2 * cell + 1] = at
  }

  /** Requires a free cell. */
  add(hash: number, at: number): void {
    this.#place(hash, at)
    this.#size++
  }

  resize(capacity: number): void {
    const before = this.#cells
    this.#cells = capacity === 0 ? noCells : new Uint32Array(2 * capacity)
    this.#capacity = capacity
    this.#scale = capacity / this.#span
    for (let word = 0; word < before.length; word += 2) {
      if (before[word + 1] !== 0) this.#place(before[word] as number, before[word + 1] as number)
    }
  }

  each(visit: (hash: number, at: number) => void): void {
    const cells = this.#cells
    for (let word = 0; word < cells.length; word += 2)
      if (cells[word + 1] !== 0) visit(cells[word] as number, cells[word + 1] as number)
  }

  /** Empties a cell and moves up cells that would not be found after an empty one. */
  close(cell: number): void {
    const cells = this.#cells
    const capacity = this.#capacity
    let hole = cell
    for (let at = cell; ; ) {
      at = at + 1 === capacity ? 0 : at + 1
      if (this.addressAt(at) === 0) break
      const home = this.#homeOf(cells[2 * at] as number)
      if ((at - home + capacity) % capacity < (at - hole + capacity) % capacity) continue
      cells[2 * hole] = cells[2 * at] as number
      cells[2 * hole + 1] = this.addressAt(at)
      hole = at
    }
    cells[2 * hole] = 0
    cells[2 * hole + 1] = 0
    this.#size--
  }

  /** As `SlotTable.scan`, within the range; returns `end` at its end. */
  scan(from: number, cells: number, visit: (at: number, hash: number) => void): number {
    const capacity = this.#capacity
    const first = this.#homeOf(from)
    const last = first + cells
    const next = last >= capacity ? this.end : this.low + Math.ceil((last / capacity) * this.#span)
    for (let step = 0, cell = first; step < capacity; step++) {
      const at = this.addressAt(cell)
      // After the last cell only displaced records follow.
      if (at === 0 && first + step >= last) break
      const hash = this.#cells[2 * cell] as number
      if (at !== 0 && hash >= from && hash < next) visit(at, hash)
      cell = cell + 1 === capacity ? 0 : cell + 1
    }
    return next
  }

  /** Cells that a scan from a hash on still has to visit. */
  cellsFrom(hash: number): number {
    return this.#capacity - this.#homeOf(hash)
  }

  #place(hash: number, at: number): void {
    let cell = this.#homeOf(hash)
    while (this.addressAt(cell) !== 0) cell = cell + 1 === this.#capacity ? 0 : cell + 1
    this.#cells[2 * cell] = hash
    this.#cells[2 * cell + 1] = at
  }

  /** The preferred cell of a hash. */
  #homeOf(hash: number): number {
    return Math.floor((hash - this.low) * this.#scale)
  }
}

/** Cells for so many records, or for a segment that outgrows so many cells. */
export function cellsFor(count: number): number {
  return Math.max(CELLS_MIN, Math.ceil(count * GROWTH))
}
