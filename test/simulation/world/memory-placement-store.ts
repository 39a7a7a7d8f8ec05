import {
  decodeRecord,
  encodeRecord,
  type JobRecord,
  type MovedJob,
} from '../../../metadata/decide/job-record.ts'
import type { PlacementStore } from '../../../metadata/store/placement-store.ts'
import type { Host } from './host.ts'
import type { SeededRandom } from './random.ts'

/** The disk of a metadata server, which survives its processes. */
export interface Disk {
  generation: number
  address: string | null
  readonly records: Map<string, Buffer>
  readonly moved: Map<string, MovedJob>
  readonly deadNodes: Set<string>
}

/** Probability that a death is stored slowly: there are few deaths in a run, and many events that may come in between. */
const SLOW_DEATHS = 0.4

/** A store that survives its process. A crash may come before a write is durable, or after that and before the process learns of it. */
export class MemoryPlacementStore implements PlacementStore {
  readonly #disk: Disk
  readonly #host: Host
  readonly #random: SeededRandom
  readonly #onDead: (nodes: readonly string[]) => void
  readonly #onPublished: (move: { job: string; target: string; slots: readonly number[] }) => void
  readonly #onBuckets: (of: Pick<JobRecord, 'id' | 'buckets'>) => void

  /**
   * `onDead` is called when metadata has stored that nodes are dead, whether they are or not; `onPublished`, when it has stored a move as published;
   * `onBuckets`, with the buckets of a job.
   */
  constructor(
    disk: Disk,
    at: {
      host: Host
      random: SeededRandom
      onDead: (nodes: readonly string[]) => void
      onPublished: (move: { job: string; target: string; slots: readonly number[] }) => void
      onBuckets: (of: Pick<JobRecord, 'id' | 'buckets'>) => void
    },
  ) {
    const { host, random, onDead, onPublished, onBuckets } = at
    this.#onBuckets = onBuckets
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

  async address(): Promise<string | null> {
    return this.#disk.address
  }

  /** At once: servers of a simulation keep their addresses. */
  async saveAddress(address: string): Promise<void> {
    this.#disk.address = address
  }

  async jobs(): Promise<JobRecord[]> {
    return [...this.#disk.records.values()].map(decodeRecord)
  }

  async moved(): Promise<MovedJob[]> {
    return [...this.#disk.moved.values()]
  }

  save(record: JobRecord): Promise<void> {
    const bytes = Buffer.from(encodeRecord(record))
    return this.#write(() => {
      this.#disk.records.set(record.id, bytes)
      this.#disk.moved.delete(record.id)
      this.#onBuckets(record)
      for (const { published, target, slots } of record.moves)
        if (published) this.#onPublished({ job: record.id, target: target.id, slots })
    })
  }

  remove(job: string): Promise<void> {
    return this.#write(() => {
      this.#disk.records.delete(job)
      this.#disk.moved.delete(job)
    })
  }

  saveMoved(moved: MovedJob): Promise<void> {
    return this.#write(() => {
      this.#disk.records.delete(moved.id)
      this.#disk.moved.set(moved.id, moved)
    })
  }

  async deadNodes(): Promise<string[]> {
    return [...this.#disk.deadNodes]
  }

  addDeadNodes(nodes: readonly string[]): Promise<void> {
    return this.#write(() => {
      for (const node of nodes) this.#disk.deadNodes.add(node)
      this.#onDead(nodes)
    }, SLOW_DEATHS)
  }

  async close(): Promise<void> {
    // The disk survives.
  }

  /** Disks are busy now and then. */
  #delayMs(slow: number): number {
    return this.#random.between(0, this.#random.chance(slow) ? 400 : 2)
  }

  #write(change: () => unknown, slow = 0.03): Promise<void> {
    return new Promise((resolve) => {
      this.#host.after(this.#delayMs(slow), () => {
        change()
        this.#host.after(this.#delayMs(slow), resolve)
      })
    })
  }
}
