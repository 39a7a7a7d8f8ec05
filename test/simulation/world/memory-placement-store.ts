import { decodeRecord, encodeRecord, type JobRecord } from '../../../metadata/job-record.ts'
import type { PlacementStore } from '../../../metadata/store/placement-store.ts'
import type { Host } from './host.ts'
import type { SeededRandom } from './random.ts'

/** What lies on the disk of a metadata server, whichever process runs it. */
export interface Disk {
  generation: number
  readonly records: Map<string, Buffer>
  readonly deadNodes: Set<string>
}

/**
 * A store that outlives its process. A crash may come before a write lies on the disk, or after that and before the
 * process hears of it.
 */
export class MemoryPlacementStore implements PlacementStore {
  readonly #disk: Disk
  readonly #host: Host
  readonly #random: SeededRandom
  readonly #onDead: (nodes: readonly string[]) => void
  readonly #onPublished: (move: { job: string; target: string; slots: readonly number[] }) => void

  /**
   * `onDead` is told when metadata has written down that nodes are dead, whether they are or not; `onPublished`, that
   * it has written down a move as published.
   */
  constructor(
    disk: Disk,
    at: {
      host: Host
      random: SeededRandom
      onDead: (nodes: readonly string[]) => void
      onPublished: (move: { job: string; target: string; slots: readonly number[] }) => void
    },
  ) {
    const { host, random, onDead, onPublished } = at
    this.#onDead = onDead
    this.#onPublished = onPublished
    this.#disk = disk
    this.#host = host
    this.#random = random
  }

  async nextGeneration(): Promise<number> {
    this.#disk.generation++
    return this.#disk.generation
  }

  async jobs(): Promise<JobRecord[]> {
    return [...this.#disk.records.values()].map(decodeRecord)
  }

  save(record: JobRecord): Promise<void> {
    const bytes = Buffer.from(encodeRecord(record))
    return this.#write(() => {
      this.#disk.records.set(record.id, bytes)
      for (const { published, target, slots } of record.moves)
        if (published) this.#onPublished({ job: record.id, target: target.id, slots })
    })
  }

  remove(job: string): Promise<void> {
    return this.#write(() => this.#disk.records.delete(job))
  }

  async deadNodes(): Promise<string[]> {
    return [...this.#disk.deadNodes]
  }

  addDeadNodes(nodes: readonly string[]): Promise<void> {
    return this.#write(() => {
      for (const node of nodes) this.#disk.deadNodes.add(node)
      this.#onDead(nodes)
    })
  }

  async close(): Promise<void> {
    // The disk stays.
  }

  #write(change: () => unknown): Promise<void> {
    return new Promise((resolve) => {
      this.#host.after(this.#random.between(0, 2), () => {
        change()
        this.#host.after(this.#random.between(0, 2), resolve)
      })
    })
  }
}
