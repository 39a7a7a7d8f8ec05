import { assert } from '../../../protocol/assert.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import { type Runtime, sleep } from '../../../protocol/runtime.ts'
import type { Range, TierSpace, TierStore } from '../../../storage-node/tiers/tier-store.ts'
import type { SeededRandom } from './random.ts'

/** Maximum duration of a read or a write. */
const ACCESS_MS_MAX = 30
/** Probability for a write; a read fails less often. */
const WRITE_FAILURES = 0.03
const READ_FAILURES = 0.01

/** A tier below RAM in memory and virtual time: as slow, and as late in copying its input, as the contract allows. */
export class MemoryTier implements TierStore {
  readonly #world: { runtime: Runtime; random: SeededRandom }

  constructor(world: { runtime: Runtime; random: SeededRandom }) {
    this.#world = world
  }

  open(job: string): TierSpace {
    return new MemorySpace({ ...this.#world, random: this.#world.random.fork(job) })
  }

  async close(): Promise<void> {
    await sleep(this.#world.runtime.clock, 0)
  }
}

class MemorySpace implements TierSpace {
  readonly #runtime: Runtime
  readonly #random: SeededRandom
  /** By number; a free number is given to the very next record. */
  readonly #records: (Buffer | undefined)[] = []
  readonly #free: number[] = []
  #dropped = false

  constructor({ runtime, random }: { runtime: Runtime; random: SeededRandom }) {
    this.#runtime = runtime
    this.#random = random
  }

  get records(): number {
    return this.#records.length - this.#free.length
  }

  get usedBytes(): number {
    return this.#records.reduce((sum, record) => sum + (record?.length ?? 0), 0)
  }

  async write(bytes: Buffer): Promise<number> {
    await this.#delay()
    this.#requireOpen()
    if (this.#random.chance(WRITE_FAILURES))
      throw new MayflyError(this.#random.pick(['CAPACITY_EXCEEDED', 'UNAVAILABLE']), 'The disk does not want')
    const number = this.#free.pop() ?? this.#records.length
    this.#records[number] = Buffer.from(bytes)
    return number
  }

  async read(record: number, { offset, length }: Range): Promise<Buffer> {
    this.#requireOpen()
    const bytes = this.#records[record]
    assert(bytes !== undefined, 'a record that is read is there')
    assert(offset + length <= bytes.length, 'a read ends where its record does')
    await this.#delay()
    if (this.#random.chance(READ_FAILURES)) throw new MayflyError('UNAVAILABLE', 'The disk does not answer')
    return Buffer.from(bytes.subarray(offset, offset + length))
  }

  remove(record: number): void {
    assert(this.#records[record] !== undefined, 'a record is removed once')
    this.#records[record] = undefined
    this.#free.push(record)
  }

  async drop(): Promise<void> {
    this.#dropped = true
    await this.#delay()
  }

  async #delay(): Promise<void> {
    await sleep(this.#runtime.clock, this.#random.fraction() ** 2 * ACCESS_MS_MAX)
  }

  #requireOpen(): void {
    if (this.#dropped) throw new MayflyError('JOB_ENDED', 'The job has ended')
  }
}
