import { MayflyError } from '../protocol/errors.ts'
import {
  BUCKET_TOLD_MS,
  CONTROL_CALL_MS,
  JOB_DROP_MS,
  NODE_LEASE_MS,
  REQUEST_ID_BYTES,
  SLOTS_MAX,
} from '../protocol/limits.ts'
import { hashKey, slotOf } from '../protocol/model/hash.ts'
import { checkBucketName, checkKey } from '../protocol/model/keys.ts'
import { ownerOf, type PlacedNode, type PlacedShare, type Placement } from '../protocol/model/placement.ts'
import { type heartbeatOperations, nodeOperations } from '../protocol/operations/control-operations.ts'
import type { ReplyOf } from '../protocol/operations/operation.ts'
import { nextTurn, type Runtime, sleep } from '../protocol/runtime.ts'
import type { Background } from '../service/process/background.ts'
import { KeyedMutex } from '../service/process/keyed-mutex.ts'
import {
  bucketOf,
  findBucket,
  livingBuckets,
  withBucket,
  withoutBucket,
  withShares,
} from './decide/decisions.ts'
import { withDeparture } from './decide/departure.ts'
import { type Bucket, decodeRecord, type JobRecord, newRecord } from './decide/job-record.ts'
import { withoutNodes } from './decide/moves.ts'
import { Driver } from './drive/driver.ts'
import { Gate } from './drive/gate.ts'
import { Jobs } from './drive/jobs.ts'
import type { Messenger } from './drive/messenger.ts'
import { type Answers, HeldQueries, type HeldQuery } from './serve/held-queries.ts'
import { NodeLeases } from './serve/node-leases.ts'
import type { PlacementStore } from './store/placement-store.ts'

export interface PlacementsOptions {
  readonly store: PlacementStore
  readonly messenger: Messenger
  readonly runtime: Runtime
  readonly background: Background
  /** Where nodes reach this server. */
  readonly address: string
  readonly generation: number
}

/** What the controller says of a job. */
interface Terms {
  readonly shares: readonly PlacedShare[]
  readonly readsPerThousand: number | null
}

/** What one metadata server can be asked. Each change is decided, written down, told to the nodes, and then shown. */
export class Placements {
  readonly #options: PlacementsOptions
  readonly #jobs: Jobs
  readonly #driver: Driver
  readonly #questions: HeldQueries
  readonly #leases: NodeLeases
  readonly #gate = new Gate()
  readonly #bucketChanges = new KeyedMutex()
  /** Those who wait until a job is handed on, by job. */
  readonly #departing = new Map<string, Set<() => void>>()
  /** Nodes whose processes were seen to exit; the others that are dead here were only silent. */
  readonly #proved = new Set<string>()
  /** Nodes that were silent too long, until that is written down. */
  readonly #unburied = new Set<string>()
  #dead = new Set<string>()

  constructor(options: PlacementsOptions) {
    const { store, messenger, address, generation, runtime, background } = options
    this.#options = options
    this.#jobs = new Jobs(store)
    this.#leases = new NodeLeases(runtime.clock.monotonicMs())
    this.#questions = new HeldQueries(runtime.clock)
    const onShown = (job: string): void => this.#questions.review(job, this.#answers(job))
    const isDead = (node: string): boolean => this.#dead.has(node)
    const around = { jobs: this.#jobs, gate: this.#gate, background, messenger, address, generation }
    const onHandedOver = (job: string): void => this.#handedOver(job)
    this.#driver = new Driver({ ...around, isDead, onShown, onHandedOver })
  }

  /** Takes over what an earlier process of this server wrote down, and carries on with it. */
  async load(): Promise<void> {
    await this.#jobs.load()
    this.#dead = new Set(await this.#options.store.deadNodes())
    for (const job of this.#jobs.ids()) {
      const record = this.#jobs.record(job)
      if (this.#jobs.decides(job)) this.#watch(record)
      for (const node of record.nodes) {
        const tell = (): Promise<boolean> => this.#driver.tellOwner(job, node)
        void this.#options.background.once(['sendOwnership', job], tell)
      }
      void this.#driver.plan(job)
    }
  }

  /** Those that live here, and those that were handed on. */
  jobs(): string[] {
    return [...this.#jobs.ids(), ...this.#jobs.movedIds()]
  }

  /** Address of the server that decides for the job, as far as this one knows. Throws `JOB_ENDED`. */
  serverOf(job: string): string {
    const moved = this.#jobs.movedTo(job)
    if (moved !== null) return moved.address
    this.#jobs.record(job)
    return this.#options.address
  }

  /**
   * A node lives and names the jobs that it knows: the ones of them that live. From this moment it has a lease, in ms, for
   * those that this server decides for. Throws `NODE_DEAD` if its slots have gone to others.
   */
  heartbeat(node: string, jobs: readonly string[]): ReplyOf<typeof heartbeatOperations.heartbeat> {
    if (this.#dead.has(node)) throw new MayflyError('NODE_DEAD', `Node ${node} was declared dead`)
    this.#leases.grant(node, this.#options.runtime.clock.monotonicMs())
    const moved = jobs.flatMap((job) => {
      const to = this.#jobs.movedTo(job)
      return to === null ? [] : [{ job, term: to.term }]
    })
    return { leaseMs: NODE_LEASE_MS, jobs: jobs.filter((job) => this.#jobs.decides(job)), moved }
  }

  /** Declares nodes dead that have a part in a job and whose lease must have lapsed. Gives their ids. */
  async bury(): Promise<string[]> {
    const silent = this.#leases.silent(this.#options.runtime.clock.monotonicMs())
    const concerned = new Set(
      this.#jobs.ids().flatMap((job) => nodesOf(this.#jobs.record(job)).map(({ id }) => id)),
    )
    for (const node of silent) if (!concerned.has(node)) this.#leases.forget(node)
    for (const node of silent) if (concerned.has(node)) this.#unburied.add(node)
    const dead = [...this.#unburied]
    if (dead.length > 0) await this.#bury(dead)
    for (const node of dead) this.#unburied.delete(node)
    return dead
  }

  /** Begins a job, or, if it is there, gives it new shares. Resolves once every node knows its slots. */
  async create(job: string, slots: number, terms: Terms): Promise<Placement> {
    if (slots === 0 || slots > SLOTS_MAX || (slots & (slots - 1)) !== 0) {
      throw new MayflyError('BAD_REQUEST', `slots: ${slots} is not a power of two up to ${SLOTS_MAX}`)
    }
    return await this.#carryOut(job, () =>
      this.#jobs.create(job, (known) => this.#withTerms(known ?? newRecord(job, slots), terms)),
    )
  }

  /** New weights and budgets: slots that nobody owns go to the nodes at once, others move until the weights hold. */
  async setTerms(job: string, terms: Terms): Promise<Placement> {
    return await this.#carryOut(job, () => this.#jobs.change(job, (record) => this.#withTerms(record, terms)))
  }

  /**
   * Hands the job to another server. Resolves once that decides for it; rejects with `UNAVAILABLE` where it takes longer than
   * `CONTROL_CALL_MS` until the job is settled, and goes on. Throws `JOB_MOVED` if the job is with a third one.
   */
  async move(job: string, target: PlacedNode): Promise<void> {
    const isThere = (): boolean =>
      target.address === this.#options.address
        ? this.#jobs.decides(job)
        : !this.#jobs.has(job) && this.#jobs.movedTo(job)?.address === target.address
    if (isThere()) return
    try {
      await this.#jobs.depart(job, (record) => withDeparture(record, target))
    } catch (error) {
      // It may have been handed over while this waited for its turn.
      if (isThere()) return
      throw error
    }
    const waiting = this.#departing.get(job) ?? new Set()
    this.#departing.set(job, waiting)
    await new Promise<void>((resolve) => {
      waiting.add(resolve)
      this.#driver.advance(job)
      this.#options.runtime.clock.after(CONTROL_CALL_MS, () => waiting.delete(resolve) && resolve())
    })
    if (!this.#jobs.has(job)) return
    throw new MayflyError('UNAVAILABLE', `Job ${job} is not settled yet, so that it cannot be handed on`)
  }

  /**
   * Takes over a job that another server has handed on, as that wrote it down. Its nodes may serve under the leases of that
   * server for a while, so silence counts anew from here, also that of a node which is dead by silence already.
   */
  async take(bytes: Buffer): Promise<void> {
    const record = await this.#jobs.take(decodeRecord(bytes))
    if (record === null) return
    const now = this.#options.runtime.clock.monotonicMs()
    const nodes = nodesOf(record).map((node) => node.id)
    for (const node of nodes) this.#leases.grant(node, now)
    this.#tell(record)
    await this.#removeDead([record], new Set(nodes.filter((node) => this.#proved.has(node))))
  }

  /** The job ends for good. Resolves once every node that can be reached has freed its bytes. */
  async end(job: string): Promise<void> {
    const record = await this.#jobs.end(job)
    this.#questions.end(job, new MayflyError('JOB_ENDED', `Job ${job} has ended`))
    this.#releaseDeparting(job)
    if (record === null) return
    // Whom this does not reach learns it from the answer to its next heartbeat.
    const told = nodesOf(record).map((node) =>
      this.#options.messenger.tell(node, nodeOperations.jobDrop, { job }),
    )
    await Promise.race([Promise.allSettled(told), sleep(this.#options.runtime.clock, JOB_DROP_MS)])
  }

  /** These nodes' processes have exited: their slots go to others, marked as lost. Resolves once that is decided. */
  async nodesDied(nodes: readonly string[]): Promise<void> {
    for (const node of nodes) this.#proved.add(node)
    await this.#bury(nodes)
  }

  /**
   * These nodes are dead, by proof or by silence, and stay so. From this very moment none of them is given a lease. Of a
   * job that comes from another server meanwhile, `take` knows what to do about them.
   */
  async #bury(nodes: readonly string[]): Promise<void> {
    const records = this.#jobs.ids().map((job) => this.#jobs.record(job))
    for (const node of nodes) {
      this.#dead.add(node)
      this.#leases.forget(node)
    }
    await this.#options.store.addDeadNodes(nodes)
    await this.#removeDead(records, new Set(nodes))
  }

  /**
   * Gives the slots of dead nodes to others. The telling goes on behind it, and so does what could not be decided of one job: the
   * other jobs of the node do not wait for it. A job that was handed on meanwhile and has come back has another term: it was served
   * under another server's leases since, and `take` has decided what these deaths mean for it.
   */
  async #removeDead(records: readonly JobRecord[], dead: ReadonlySet<string>): Promise<void> {
    const { background } = this.#options
    await Promise.all(
      records.map(async (record) => {
        const { id } = record
        const task = ['replaceDead', id] as const
        const replace = (): Promise<void> => this.#replaceDead(record, dead)
        if (await background.attempt(task, replace)) return
        void background.persist(task, replace, () => this.#jobs.has(id))
      }),
    )
  }

  async #replaceDead({ id, term }: JobRecord, dead: ReadonlySet<string>): Promise<void> {
    let changed = false
    const record = await this.#jobs.changeLiving(id, (before) => {
      if (before.term !== term) return before
      const after = withoutNodes(before, dead)
      changed = after !== before
      return after
    })
    if (record !== null && changed) this.#tell(record)
  }

  /** The job's placement, as soon as it answers the question; after a bound, as it is. */
  async placement(job: string, question: HeldQuery): Promise<Placement> {
    return await this.#questions.ask(job, question, this.#answers(job))
  }

  locate(
    job: string,
    at: { bucket: string; key: Uint8Array },
  ): { epoch: number; slot: number; owner: PlacedNode | null } {
    checkKey(at.key)
    const { placement } = this.#jobs.view(job)
    const { id } = findBucket(this.#jobs.record(job), at.bucket)
    const slot = slotOf(hashKey(at.key, id), placement.owners.length)
    return { epoch: placement.epoch, slot, owner: ownerOf(placement, slot) }
  }

  buckets(job: string): readonly Bucket[] {
    return this.#jobs.record(job).buckets
  }

  /** The id of the new bucket; a repetition gets the same. */
  async createBucket(job: string, { name, request }: BucketCall): Promise<number> {
    checkBucketName(name)
    checkRequest(request)
    return await this.#gate.run(job, async () => {
      const record = await this.#changeBuckets(job, (before) => withBucket(before, name, request))
      // A node that does not hear of it in time asks when the first key is put.
      const told = record.nodes.map((node) => this.#driver.tellOwner(job, node))
      await Promise.race([Promise.all(told), sleep(this.#options.runtime.clock, BUCKET_TOLD_MS)])
      return bucketOf(record, request) ?? findBucket(record, name).id
    })
  }

  /** Which buckets of a job live. */
  livingBuckets(job: string): ReplyOf<typeof heartbeatOperations.jobBuckets> {
    const record = this.#jobs.record(job)
    return { revision: record.revision, buckets: livingBuckets(record) }
  }

  /** Those of one job one after another, each in a turn of the event loop: many at once keep nobody else waiting. */
  #changeBuckets(job: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord> {
    return this.#bucketChanges.run(job, async () => {
      await nextTurn(this.#options.runtime.clock)
      return await this.#jobs.change(job, decide)
    })
  }

  /** Resolves once every node has dropped the bucket's objects. */
  async deleteBucket(job: string, { name, request }: BucketCall): Promise<void> {
    checkRequest(request)
    await this.#gate.run(job, async () => {
      const record = await this.#changeBuckets(job, (before) => withoutBucket(before, name, request))
      await this.#heard(this.#begin(record), 'drop the bucket')
    })
  }

  /** Resolves with the placement once the nodes of the job have heard of the change. */
  #carryOut(job: string, change: () => Promise<JobRecord>): Promise<Placement> {
    return this.#gate.run(job, async () => {
      await this.#heard(this.#begin(await change()), 'take slots over')
      return this.#jobs.view(job).placement
    })
  }

  #handedOver(job: string): void {
    const { address = '' } = this.#jobs.movedTo(job) ?? {}
    this.#questions.end(job, new MayflyError('JOB_MOVED', `The metadata server at ${address} decides for it`))
    this.#releaseDeparting(job)
  }

  #releaseDeparting(job: string): void {
    for (const resolve of this.#departing.get(job) ?? []) resolve()
    this.#departing.delete(job)
  }

  /** As `#begin`, where nobody waits for it. */
  #tell(record: JobRecord): void {
    void this.#options.background.once(['sendOwnership', record.id], () => Promise.all(this.#begin(record)))
  }

  /** Sets going what a new record asks for; each promise is of one node that has been told what it owns. */
  #begin(record: JobRecord): Promise<boolean>[] {
    this.#watch(record)
    void this.#driver.plan(record.id)
    return record.nodes.map((node) => this.#driver.tellOwner(record.id, node))
  }

  /** The telling goes on where a node does not hear in time; only this answer does not wait for it. */
  async #heard(told: readonly Promise<boolean>[], what: string): Promise<void> {
    const tooLate = sleep(this.#options.runtime.clock, CONTROL_CALL_MS).then(() => false)
    const inTime = await Promise.race([Promise.all(told).then(() => true), tooLate])
    if (!inTime) throw new MayflyError('UNAVAILABLE', `Not every node of the job could be told to ${what}`)
  }

  #watch(record: JobRecord): void {
    const now = this.#options.runtime.clock.monotonicMs()
    for (const { id } of nodesOf(record)) this.#leases.watch(id, now)
  }

  /** The controller may not know yet that a node has died. */
  #withTerms(record: JobRecord, { shares, readsPerThousand }: Terms): JobRecord {
    const living = shares.filter(({ node }) => !this.#dead.has(node))
    return withShares({ ...record, readsPerThousand }, living)
  }

  #answers(job: string): Answers {
    return {
      placement: () => this.#jobs.view(job).placement,
      satisfies: ({ known, slot }) => {
        const view = this.#jobs.view(job)
        return view.placement.epoch > known && view.isStable(slot, this.#jobs.record(job))
      },
    }
  }
}

/** Every node that has something of the job. */
function nodesOf({ nodes, moves, leftovers }: JobRecord): PlacedNode[] {
  const all = [
    ...nodes,
    ...moves.flatMap(({ source, target }) => [source, target]),
    ...leftovers.map(({ node }) => node),
  ]
  return [...new Map(all.map((node) => [node.id, node])).values()]
}

interface BucketCall {
  readonly name: string
  /** Names the call over its repetitions. */
  readonly request: Uint8Array
}

function checkRequest({ length }: Uint8Array): void {
  if (length !== REQUEST_ID_BYTES)
    throw new MayflyError('BAD_REQUEST', `request: it has ${length} bytes, not ${REQUEST_ID_BYTES}`)
}
