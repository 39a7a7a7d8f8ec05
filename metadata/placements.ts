import { MayflyError } from '../protocol/errors.ts'
import { BUCKET_TOLD_MS, CONTROL_CALL_MS, JOB_DROP_MS, NODE_LEASE_MS, SLOTS_MAX } from '../protocol/limits.ts'
import { hashKey, slotOf } from '../protocol/model/hash.ts'
import { checkBucketName, checkKey } from '../protocol/model/keys.ts'
import { ownerOf, type PlacedNode, type PlacedShare, type Placement } from '../protocol/model/placement.ts'
import type { ReplyOf } from '../protocol/operations/operation.ts'
import { type heartbeatOperations, nodeOperations } from '../protocol/operations/plane-operations.ts'
import { nextTurn, type Runtime, within } from '../protocol/runtime.ts'
import type { Background } from '../service/process/background.ts'
import { KeyedMutex } from '../service/process/locks.ts'
import {
  bucketOf,
  findBucket,
  livingBuckets,
  withBucket,
  withoutBucket,
  withShares,
} from './decide/decisions.ts'
import { withDeparture } from './decide/departure.ts'
import { type Bucket, decodeRecord, type JobRecord, newRecord, nodesOf } from './decide/job-record.ts'
import { withoutNodes } from './decide/moves.ts'
import { Driver } from './drive/driver.ts'
import { Gate } from './drive/gate.ts'
import { Jobs } from './drive/jobs.ts'
import type { Messenger } from './drive/messenger.ts'
import { votersAmong } from './drive/votes.ts'
import { type Answers, HeldQueries, type HeldQuery } from './serve/held-queries.ts'
import { NodeLeases } from './serve/node-leases.ts'
import type { PlacementStore, Tenure } from './store/placement-store.ts'

export interface PlacementsOptions {
  readonly store: PlacementStore
  readonly messenger: Messenger
  readonly runtime: Runtime
  readonly background: Background
  /** Address of this server for nodes. */
  readonly address: string
  readonly generation: number
  readonly tenure: Tenure
}

/** The controller's settings for a job. */
interface Terms {
  readonly shares: readonly PlacedShare[]
  readonly readsPerThousand: number | null
}

/** The operations of one metadata server. Each change is decided, stored, sent to the nodes, and then shown to clients. */
export class Placements {
  readonly #options: PlacementsOptions
  readonly #jobs: Jobs
  readonly #driver: Driver
  readonly #heldQueries: HeldQueries
  readonly #leases: NodeLeases
  readonly #gate = new Gate()
  readonly #bucketChanges = new KeyedMutex()
  /** Callers that wait until a job is transferred, by job. */
  readonly #departing = new Map<string, Set<() => void>>()
  /** Dead nodes that the controller knows of. The others were silent, and are reported to it. */
  readonly #exited = new Set<string>()
  /** Silent nodes whose death is not stored yet. */
  readonly #undeclared = new Set<string>()
  #dead = new Set<string>()

  constructor(options: PlacementsOptions) {
    const { store, messenger, address, generation, runtime, background, tenure } = options
    this.#options = options
    this.#jobs = new Jobs(store)
    this.#leases = new NodeLeases(runtime.clock.monotonicMs(), tenure)
    this.#heldQueries = new HeldQueries(runtime.clock)
    const onShown = (job: string): void => this.#heldQueries.answerSatisfied(job, this.#answers(job))
    const isDead = (node: string): boolean => this.#dead.has(node)
    const own = { jobs: this.#jobs, gate: this.#gate, runtime }
    const driverDeps = { ...own, background, messenger, address, generation }
    const onTransferred = (job: string): void => this.#onTransferred(job)
    this.#driver = new Driver({ ...driverDeps, isDead, onShown, onTransferred })
  }

  /** Loads the stored state of an earlier process and resumes its work. */
  async load(): Promise<void> {
    await this.#jobs.load(this.#options.address)
    this.#dead = new Set(await this.#options.store.deadNodes())
    for (const job of this.#jobs.ids()) {
      const record = this.#jobs.record(job)
      if (this.#jobs.decides(job)) this.#watch(record)
      for (const node of record.nodes) {
        const tell = (): Promise<boolean> => this.#driver.sendOwnership(job, node)
        void this.#options.background.once(['sendOwnership', job], tell)
      }
      void this.#driver.plan(job)
    }
  }

  /** Jobs on this server, and jobs that it has transferred. */
  jobs(): string[] {
    return [...this.#jobs.ids(), ...this.#jobs.movedIds()]
  }

  /** Address of the server that decides about the job, as far as this one knows. Throws `JOB_ENDED`. */
  serverOf(job: string): string {
    const moved = this.#jobs.movedTo(job)
    if (moved !== null) return moved.address
    this.#jobs.record(job)
    return this.#options.address
  }

  /**
   * Renews the lease (ms) of a node for the jobs that this server decides about. The reply names those of `jobs` that live here and those
   * that moved. Throws `NODE_DEAD` if the node was declared dead, and as `NodeLeases.renew`.
   */
  heartbeat(node: string, jobs: readonly string[]): ReplyOf<typeof heartbeatOperations.heartbeat> {
    if (this.#dead.has(node)) throw new MayflyError('NODE_DEAD', `Node ${node} was declared dead`)
    this.#leases.renew(node, this.#options.runtime.clock.monotonicMs())
    const moved = jobs.flatMap((job) => {
      const to = this.#jobs.movedTo(job)
      return to === null ? [] : [{ job, term: to.term }]
    })
    return { leaseMs: NODE_LEASE_MS, jobs: jobs.filter((job) => this.#jobs.decides(job)), moved }
  }

  /** Declares nodes dead that have a part in a job and whose lease must have lapsed. Resolves with all whose exit is not known. */
  async declareSilentDead(): Promise<string[]> {
    const silent = this.#leases.silent(this.#options.runtime.clock.monotonicMs())
    const concerned = this.#concerned()
    for (const node of silent) if (!concerned.has(node)) this.#leases.forget(node)
    for (const node of silent) if (concerned.has(node)) this.#undeclared.add(node)
    const dead = [...this.#undeclared]
    if (dead.length > 0) await this.#declareDead(dead)
    for (const node of dead) this.#undeclared.delete(node)
    return this.silentDead
  }

  /** Dead nodes of which it is not known whether the controller knows. */
  get silentDead(): string[] {
    return [...this.#dead].filter((node) => !this.#exited.has(node))
  }

  /** The controller knows of these dead nodes. */
  confirmDead(nodes: readonly string[]): void {
    for (const node of nodes) if (this.#dead.has(node)) this.#exited.add(node)
  }

  /** Nominates as voters of this server nodes with a part in a job that have sent a heartbeat lately. */
  nominate(): void {
    const nowMs = this.#options.runtime.clock.monotonicMs()
    const heard = [...this.#concerned().values()].filter(({ id }) => this.#leases.isHeard(id, nowMs))
    this.#options.tenure.nominate(votersAmong(heard))
  }

  /** Nodes with a part in a job. */
  #concerned(): Map<string, PlacedNode> {
    const nodes = this.#jobs.ids().flatMap((job) => nodesOf(this.#jobs.record(job)))
    return new Map(nodes.map((node) => [node.id, node]))
  }

  /** Creates a job, or gives an existing one new shares. Resolves once every node knows its slots. */
  async create(job: string, slots: number, terms: Terms): Promise<Placement> {
    if (slots === 0 || slots > SLOTS_MAX || (slots & (slots - 1)) !== 0) {
      throw new MayflyError('BAD_REQUEST', `slots: ${slots} is not a power of two up to ${SLOTS_MAX}`)
    }
    return await this.#change(job, () =>
      this.#jobs.create(job, (known) => this.#withTerms(known ?? newRecord(job, slots), terms)),
    )
  }

  /** Sets new weights and budgets. Slots without an owner are assigned at once; others move until the weights hold. */
  async setTerms(job: string, terms: Terms): Promise<Placement> {
    return await this.#change(job, () => this.#jobs.change(job, (record) => this.#withTerms(record, terms)))
  }

  /**
   * Transfers the job to another server. Resolves once that server decides about it. Rejects with `UNAVAILABLE` if the job is not settled
   * within `CONTROL_CALL_MS`; the transfer continues. Throws `JOB_MOVED` if the job is on a third server.
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
      // The transfer may have completed while this call waited.
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
   * Stores a job that another server transfers to this one. Its nodes may still serve under leases of that server, so each gets a new lease
   * here, even a node that was declared dead for silence.
   */
  async take(bytes: Buffer): Promise<void> {
    const record = await this.#jobs.take(decodeRecord(bytes))
    if (record === null) return
    const now = this.#options.runtime.clock.monotonicMs()
    const nodes = nodesOf(record).map((node) => node.id)
    for (const node of nodes) this.#leases.grant(node, now)
    this.#applyInBackground(record)
    await this.#removeDead([record], new Set(nodes.filter((node) => this.#exited.has(node))))
  }

  /** Ends a job. Resolves once every reachable node has freed its bytes. */
  async end(job: string): Promise<void> {
    const record = await this.#jobs.end(job)
    this.#heldQueries.end(job, () => new MayflyError('JOB_ENDED', `Job ${job} has ended`))
    this.#releaseDeparting(job)
    if (record === null) return
    // Nodes that this does not reach learn it from the reply to their next heartbeat.
    const sent = nodesOf(record).map((node) =>
      this.#options.messenger.send(node, nodeOperations.jobDrop, { job }),
    )
    await within(this.#options.runtime.clock, JOB_DROP_MS, Promise.allSettled(sent))
  }

  /** Handles the exit of node processes: their slots are assigned to others, marked as possibly lost. Resolves once that is decided. */
  async nodesDied(nodes: readonly string[]): Promise<void> {
    for (const node of nodes) this.#exited.add(node)
    await this.#declareDead(nodes)
  }

  /**
   * Declares nodes dead, permanently. From now on none of them gets a lease. A job that is transferred to this server meanwhile is handled
   * by `take`.
   */
  async #declareDead(nodes: readonly string[]): Promise<void> {
    const records = this.#jobs.ids().map((job) => this.#jobs.record(job))
    for (const node of nodes) {
      this.#dead.add(node)
      this.#leases.forget(node)
    }
    await this.#options.store.addDeadNodes(nodes)
    await this.#removeDead(records, new Set(nodes))
  }

  /**
   * Assigns the slots of dead nodes to others. Ownership messages are sent in the background, and a job that fails is retried there, so one
   * job does not delay the others. A job with another term has left and come back: it was served under leases of another server since, and
   * `take` has handled these deaths for it.
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
    if (record !== null && changed) this.#applyInBackground(record)
  }

  /** The job's placement, once it satisfies the query; after `PLACEMENT_HOLD_MS` as it is. */
  async placement(job: string, question: HeldQuery): Promise<Placement> {
    return await this.#heldQueries.ask(job, question, this.#answers(job))
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

  /** Resolves with the id of the new bucket; a repeated request gets the same id. */
  async createBucket(job: string, { name, request }: BucketCall): Promise<number> {
    checkBucketName(name)
    return await this.#gate.run(job, async () => {
      const record = await this.#changeBuckets(job, (before) => withBucket(before, name, request))
      // A node that does not confirm in time asks when the first key is put.
      const sent = record.nodes.map((node) => this.#driver.sendOwnership(job, node))
      await within(this.#options.runtime.clock, BUCKET_TOLD_MS, Promise.all(sent))
      return bucketOf(record, request) ?? findBucket(record, name).id
    })
  }

  /** The buckets of a job. */
  livingBuckets(job: string): ReplyOf<typeof heartbeatOperations.jobBuckets> {
    const record = this.#jobs.record(job)
    return { revision: record.revision, buckets: livingBuckets(record) }
  }

  /** Serial for one job, each change in its own turn of the event loop, so that many changes do not block other calls. */
  #changeBuckets(job: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord> {
    return this.#bucketChanges.run(job, async () => {
      await nextTurn(this.#options.runtime.clock)
      return await this.#jobs.change(job, decide)
    })
  }

  /** Resolves once every node has dropped the bucket's objects. */
  async deleteBucket(job: string, { name, request }: BucketCall): Promise<void> {
    await this.#gate.run(job, async () => {
      const record = await this.#changeBuckets(job, (before) => withoutBucket(before, name, request))
      await this.#awaitConfirmed(this.#apply(record), 'drop the bucket')
    })
  }

  /** Resolves with the placement once the nodes of the job have confirmed the change. */
  #change(job: string, change: () => Promise<JobRecord>): Promise<Placement> {
    return this.#gate.run(job, async () => {
      await this.#awaitConfirmed(this.#apply(await change()), 'take slots over')
      return this.#jobs.view(job).placement
    })
  }

  #onTransferred(job: string): void {
    const { address = '' } = this.#jobs.movedTo(job) ?? {}
    this.#heldQueries.end(
      job,
      () => new MayflyError('JOB_MOVED', `The metadata server at ${address} decides for it`),
    )
    this.#releaseDeparting(job)
  }

  #releaseDeparting(job: string): void {
    for (const resolve of this.#departing.get(job) ?? []) resolve()
    this.#departing.delete(job)
  }

  /** As `#apply`, in the background. */
  #applyInBackground(record: JobRecord): void {
    void this.#options.background.once(['sendOwnership', record.id], () => Promise.all(this.#apply(record)))
  }

  /** Starts the work that a new record requires. Each promise is the confirmation of one node. */
  #apply(record: JobRecord): Promise<boolean>[] {
    this.#watch(record)
    void this.#driver.plan(record.id)
    return record.nodes.map((node) => this.#driver.sendOwnership(record.id, node))
  }

  /** Only the answer is bounded; messages to slow nodes are repeated in the background. */
  async #awaitConfirmed(sent: readonly Promise<boolean>[], what: string): Promise<void> {
    const confirmed = await within(this.#options.runtime.clock, CONTROL_CALL_MS, Promise.all(sent))
    if (confirmed === null)
      throw new MayflyError('UNAVAILABLE', `Not every node of the job confirmed in time to ${what}`)
  }

  #watch(record: JobRecord): void {
    const now = this.#options.runtime.clock.monotonicMs()
    for (const { id } of nodesOf(record)) this.#leases.watch(id, now)
    // The first job is not to wait for the next round: the database may be away by then.
    if (!this.#options.tenure.hasNominees) this.nominate()
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

interface BucketCall {
  readonly name: string
  /** Identifies the call across repetitions. */
  readonly request: Uint8Array
}
