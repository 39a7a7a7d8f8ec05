import { nodeOperations } from '../protocol/control-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { hashKey, slotOf } from '../protocol/hash.ts'
import { checkBucketName, checkKey } from '../protocol/keys.ts'
import { CONTROL_CALL_MS, SLOTS_MAX } from '../protocol/limits.ts'
import { ownerOf, type PlacedNode, type Placement } from '../protocol/placement.ts'
import { type Runtime, sleep } from '../protocol/runtime.ts'
import { Serial } from '../service/serial.ts'
import { findBucket, ownMessage, withBucket, withoutBucket, withoutNodes, withShares } from './decisions.ts'
import { type Bucket, type JobRecord, newRecord, placementOf, type Share } from './job-record.ts'
import type { Messenger } from './messenger.ts'
import { Questions } from './questions.ts'
import type { PlacementStore } from './store/placement-store.ts'

export interface PlacementsOptions {
  readonly store: PlacementStore
  readonly messenger: Messenger
  readonly runtime: Runtime
  /** Where nodes reach this server. */
  readonly address: string
  readonly generation: number
}

/**
 * The jobs of one metadata server. Each change of a job is decided, written down, told to the nodes that it
 * concerns, and only then shown; changes of one job come one after another.
 */
export class Placements {
  readonly #options: PlacementsOptions
  readonly #records = new Map<string, JobRecord>()
  readonly #questions: Questions
  readonly #serial = new Serial()

  constructor(options: PlacementsOptions) {
    this.#options = options
    this.#questions = new Questions(options.runtime.clock)
  }

  /** Takes over what an earlier process of this server wrote down, and tells the nodes again. */
  async load(): Promise<void> {
    for (const record of await this.#options.store.jobs()) {
      this.#records.set(record.id, record)
      for (const node of record.nodes) void this.#tellOwner(record.id, node)
    }
  }

  jobs(): string[] {
    return [...this.#records.keys()]
  }

  /** The jobs that have slots on a node. */
  jobsOn(node: string): string[] {
    return this.jobs().filter((id) => this.#records.get(id)?.nodes.some((placed) => placed.id === node))
  }

  /** Begins a job, or, if it is there, gives it new shares. Resolves once every node knows its slots. */
  create(job: string, slots: number, shares: readonly Share[]): Promise<Placement> {
    if (slots === 0 || slots > SLOTS_MAX || (slots & (slots - 1)) !== 0) {
      throw new MayflyError('BAD_REQUEST', `slots: ${slots} is not a power of two up to ${SLOTS_MAX}`)
    }
    return this.#place(job, () => withShares(this.#records.get(job) ?? newRecord(job, slots), shares))
  }

  setShares(job: string, shares: readonly Share[]): Promise<Placement> {
    return this.#place(job, () => withShares(this.#record(job), shares))
  }

  /** The job ends for good. Resolves once every node that can be reached has freed its bytes. */
  async end(job: string): Promise<void> {
    const { store, messenger } = this.#options
    await this.#serial.run(job, async () => {
      const record = this.#records.get(job)
      await store.remove(job)
      this.#records.delete(job)
      this.#questions.end(job)
      // Whom this does not reach learns it from the answer to its next heartbeat.
      await Promise.allSettled(
        (record?.nodes ?? []).map((node) => messenger.tell(node, nodeOperations.jobDrop, { job })),
      )
    })
  }

  /** The fleet saw these nodes exit: their slots go to others, marked as lost. */
  async nodesDied(nodes: readonly string[]): Promise<void> {
    const dead = new Set(nodes)
    const concerned = this.jobs().filter((id) =>
      this.#records.get(id)?.shares.some(({ node }) => dead.has(node)),
    )
    await Promise.all(concerned.map((job) => this.#place(job, () => withoutNodes(this.#record(job), dead))))
  }

  /** The job's placement, as soon as it is newer than `known` and somebody owns `slot`; after a bound, as it is. */
  placement(job: string, question: { known: number; slot: number }): Promise<Placement> {
    return this.#questions.ask(job, question, () => placementOf(this.#record(job)))
  }

  locate(
    job: string,
    at: { bucket: string; key: Uint8Array },
  ): { epoch: number; slot: number; owner: PlacedNode | null } {
    checkKey(at.key)
    const record = this.#record(job)
    const slot = slotOf(hashKey(at.key, findBucket(record, at.bucket).id), record.owners.length)
    return { epoch: record.epoch, slot, owner: ownerOf(placementOf(record), slot) }
  }

  buckets(job: string): readonly Bucket[] {
    return this.#record(job).buckets
  }

  /** The id of the new bucket. */
  createBucket(job: string, name: string): Promise<number> {
    checkBucketName(name)
    return this.#serial.run(job, async () => {
      const record = withBucket(this.#record(job), name)
      await this.#write(record)
      return findBucket(record, name).id
    })
  }

  /** Resolves once every node has dropped the bucket's objects. */
  deleteBucket(job: string, name: string): Promise<void> {
    return this.#serial.run(job, async () => {
      const before = this.#record(job)
      const bucket = findBucket(before, name).id
      const record = withoutBucket(before, name)
      await this.#write(record)
      await this.#allWithin(
        record.nodes.map((node) => this.#tellOwner(job, node)),
        `drop bucket ${bucket}`,
      )
    })
  }

  async #place(job: string, decide: () => JobRecord): Promise<Placement> {
    const { before, after } = await this.#serial.run(job, async () => {
      const before = this.#records.get(job)
      const after = decide()
      if (after !== before) await this.#write(after)
      return { before, after }
    })
    const told = after === before ? [] : after.nodes.map((node) => this.#tellOwner(job, node))
    await this.#allWithin(told, 'take slots over')
    this.#questions.answer(job, placementOf(after))
    return placementOf(this.#record(job))
  }

  async #write(record: JobRecord): Promise<void> {
    await this.#options.store.save(record)
    this.#records.set(record.id, record)
  }

  /** Tells a node all that it owns of a job, as long as it has a part in it. */
  #tellOwner(job: string, node: PlacedNode): Promise<boolean> {
    const { messenger, address, generation } = this.#options
    return messenger.tellUntilHeard(node, nodeOperations.own, () => {
      const record = this.#records.get(job)
      if (!record?.nodes.some(({ id }) => id === node.id)) return null
      return ownMessage(record, { node: node.id, metadata: address, generation })
    })
  }

  /** The telling goes on where a node does not hear in time; only this answer does not wait for it. */
  async #allWithin(told: readonly Promise<boolean>[], what: string): Promise<void> {
    const heard = Promise.all(told).then(() => true)
    const inTime = await Promise.race([
      heard,
      sleep(this.#options.runtime.clock, CONTROL_CALL_MS).then(() => false),
    ])
    if (!inTime) throw new MayflyError('UNAVAILABLE', `Not every node of the job could be told to ${what}`)
  }

  #record(job: string): JobRecord {
    const record = this.#records.get(job)
    if (record === undefined) throw new MayflyError('JOB_ENDED', `Job ${job} has ended`)
    return record
  }
}
