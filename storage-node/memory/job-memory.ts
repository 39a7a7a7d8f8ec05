import { MayflyError } from '../../protocol/errors.ts'
import { type Arena, NOWHERE } from './arena.ts'
import { BlockMap } from './block-map.ts'
import { bytesApart, type Part } from './record.ts'
import { type RecordHolder, RecordLog } from './record-log.ts'
import { BLOCK_BYTES } from './slab.ts'

/** A run of blocks that is read from outside the store: by a socket, or for a stored answer. */
interface Pinned {
  readonly blocks: number
  holders: number
  /** Only the holders still need it. */
  freed: boolean
}

/** Pages that one put may compact; each takes well under a millisecond. */
const COMPACTIONS_MAX = 4

/**
 * Tables that one job can have at once: a record holds its table number in 16 bits. Twice what slots and
 * handoffs need.
 */
const TABLES_MAX = 65_535

/**
 * The memory of one job in the arena. Ending the job frees whole block ranges, independent of its number of
 * objects; only pinned runs stay until released.
 */
export class JobMemory {
  readonly arena: Arena
  readonly log: RecordLog
  /** By the table number in their records. */
  readonly #tables: (RecordHolder | undefined)[] = []
  readonly #freeNumbers: number[] = []
  readonly #owned: (BlockMap | undefined)[] = []
  readonly #pinned = new Map<number, Pinned>()
  /** Runs reserved for arriving payloads, with the expected bytes. */
  readonly #expecting = new Map<number, number>()
  readonly #charge: (bytes: number) => void
  #takenBlocks = 0
  #isShort = false
  #ended = false

  /**
   * `charge` receives bytes that no object accounts for: pinned runs whose object is gone, and arriving
   * payloads.
   */
  constructor(arena: Arena, charge: (bytes: number) => void) {
    this.arena = arena
    this.#charge = charge
    this.log = new RecordLog(this)
    arena.tenants.add(this.log)
  }

  /** Bytes of all runs of the job, including pages of records. */
  get takenBytes(): number {
    return this.#takenBlocks * BLOCK_BYTES
  }

  /** The address of a run of blocks; `NOWHERE` if there is none. */
  take(blocks: number): number {
    const at = this.#ended ? NOWHERE : this.arena.take(blocks)
    if (at !== NOWHERE) this.#own(at, blocks)
    return at
  }

  /** Runs of `blocks` blocks in total; null, with nothing taken, if the arena has not so many. */
  takeRuns(blocks: number): readonly Part[] | null {
    const runs = this.#ended ? null : this.arena.takeRuns(blocks)
    for (const run of runs ?? []) this.#own(run.at, run.blocks)
    return runs
  }

  /** Does nothing once the job has ended. */
  free(at: number, blocks: number): void {
    if (this.#ended) return
    const pinned = this.#pinned.get(at)
    if (pinned !== undefined) {
      pinned.freed = true
      this.#charge(blocks * BLOCK_BYTES)
      return
    }
    this.#disown(at, blocks)
    this.arena.free(at, blocks)
  }

  /** Retains a run until `unpin` was called as often, whatever happens to its object and its job. */
  pin({ at, blocks }: Part): void {
    const pinned = this.#pinned.get(at)
    if (pinned === undefined) this.#pinned.set(at, { blocks, holders: 1, freed: false })
    else pinned.holders++
  }

  unpin({ at }: Part): void {
    const pinned = this.#pinned.get(at)
    if (pinned === undefined || --pinned.holders > 0) return
    this.#pinned.delete(at)
    if (!pinned.freed) return
    this.#charge(-pinned.blocks * BLOCK_BYTES)
    if (this.#ended) this.arena.free(at, pinned.blocks)
    else this.free(at, pinned.blocks)
  }

  /** Reserves one run for an arriving payload; null if there is none. End with `adopt` or `abandon`. */
  expect(bytes: number): Buffer | null {
    const blocks = Math.ceil(bytes / BLOCK_BYTES)
    const at = this.take(blocks)
    if (at === NOWHERE) return null
    this.#expecting.set(at, bytes)
    this.#charge(blocks * BLOCK_BYTES)
    return this.arena.view(at, bytes)
  }

  /**
   * The reserved run that holds this payload; null if the payload lies elsewhere or fills only a part of the
   * run.
   */
  landed(payload: Uint8Array): Part | null {
    const { length } = payload
    if (this.#expecting.size === 0 || bytesApart(length) === 0) return null
    const at = this.arena.addressOf(payload)
    return this.#expecting.get(at) === length ? { at, blocks: Math.ceil(length / BLOCK_BYTES) } : null
  }

  /** The charge of a payload in a reserved run. */
  landedBytes(payload: Uint8Array): number {
    return (this.landed(payload)?.blocks ?? 0) * BLOCK_BYTES
  }

  /** The run now belongs to an object. */
  adopt({ at, blocks }: Part): void {
    this.#expecting.delete(at)
    this.#charge(-blocks * BLOCK_BYTES)
  }

  /** The payload was not stored, or never arrived. */
  abandon(payload: Uint8Array): void {
    const run = this.landed(payload)
    if (run === null) return
    this.adopt(run)
    if (this.#ended) this.arena.free(run.at, run.blocks)
    else this.free(run.at, run.blocks)
  }

  /** Compacts if there are too many holes. Run before storing: it invalidates records found earlier. */
  compactIfSparse(): void {
    if (this.log.isSparse) this.log.compact()
  }

  /**
   * Compacts and retries after an attempt to store found no memory. `attempt` must look up its records again,
   * and must change nothing if it fails. Throws `CAPACITY_EXCEEDED` if no attempt had room.
   */
  retryCompacting(attempt: () => boolean): void {
    for (let compactions = 0; compactions < COMPACTIONS_MAX && this.arena.compact(); compactions++) {
      if (attempt()) return
    }
    this.#isShort = true
    throw new MayflyError(
      'CAPACITY_EXCEEDED',
      `The node's memory is full, its ${this.arena.takenBytes} bytes`,
    )
  }

  /** Whether an attempt since the last call found no memory although its job had budget. */
  takeShortage(): boolean {
    const isShort = this.#isShort
    this.#isShort = false
    return isShort
  }

  /** Assigns a table number; -1 if all are in use. */
  registerTable(table: RecordHolder): number {
    const number = this.#freeNumbers.pop() ?? this.#tables.length
    if (number >= TABLES_MAX) return -1
    this.#tables[number] = table
    return number
  }

  unregisterTable(number: number): void {
    this.#tables[number] = undefined
    this.#freeNumbers.push(number)
  }

  table(number: number): RecordHolder | undefined {
    return this.#tables[number]
  }

  /** Frees everything except for pinned and arriving runs. */
  end(): void {
    this.#ended = true
    this.log.end()
    this.arena.tenants.delete(this.log)
    for (const [at, pinned] of this.#pinned) {
      pinned.freed = true
      this.#disown(at, pinned.blocks)
    }
    for (const [at, bytes] of this.#expecting) this.#disown(at, Math.ceil(bytes / BLOCK_BYTES))
    this.#owned.forEach((owned, index) => {
      if (owned !== undefined) this.arena.freeAll(index, owned)
    })
    for (const table of this.#tables) table?.forget()
    this.#owned.length = 0
    this.#takenBlocks = 0
    this.#tables.length = 0
  }

  #own(at: number, blocks: number): void {
    const index = this.arena.slabIndexOf(at)
    let owned = this.#owned[index]
    if (owned === undefined) {
      owned = new BlockMap(this.arena.slabBytes / BLOCK_BYTES)
      this.#owned[index] = owned
    }
    owned.take(this.arena.blockOf(at), blocks)
    this.#takenBlocks += blocks
  }

  #disown(at: number, blocks: number): void {
    this.#owned[this.arena.slabIndexOf(at)]?.free(this.arena.blockOf(at), blocks)
    this.#takenBlocks -= blocks
  }
}
