import { isError } from '../../protocol/errors.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import { nodeOperations, placementOperations } from '../../protocol/operations/plane-operations.ts'
import { type Runtime, sleep } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import { ownershipMessage } from '../decide/decisions.ts'
import { isSettled, recordForTarget, withTransfer } from '../decide/departure.ts'
import type { MoveEvent } from '../decide/handoff.ts'
import type { Departure, JobRecord, Leftover, Move } from '../decide/job-record.ts'
import { planMoves, withMoveEvent, withoutLeftover } from '../decide/moves.ts'
import { recordPages } from '../decide/record-pages.ts'
import type { Gate } from './gate.ts'
import type { Jobs } from './jobs.ts'
import type { Messenger } from './messenger.ts'

/** How long a node that had no memory for a slot's index gets no slots of that job. */
const REFUSED_MS = 10_000

export interface DriverOptions {
  readonly runtime: Runtime
  readonly jobs: Jobs
  readonly messenger: Messenger
  readonly gate: Gate
  readonly background: Background
  /** Address of this server for nodes. */
  readonly address: string
  readonly generation: number
  /** True from the moment the node is declared dead, possibly before that is stored. Such a node is assigned nothing. */
  readonly isDead: (node: string) => boolean
  /** Called when the placement that clients are shown has changed. */
  readonly onShown: (job: string) => void
  /** Called when another metadata server has confirmed the job. */
  readonly onTransferred: (job: string) => void
}

/**
 * Carries out decisions: sends ownership messages, drives each move from state to state, has leftovers freed. It works from stored records
 * only, so a restarted server resumes where the record stands.
 */
export class Driver {
  readonly #options: DriverOptions
  /** Moves, leftovers and departures in progress, by job, epoch and state. */
  readonly #driving = new Set<string>()
  /** Jobs whose planning failed and is retried. */
  readonly #planning = new Set<string>()
  /** Nodes that had no memory for slots of a job, as `JOB/NODE`. */
  readonly #refusing = new Set<string>()

  constructor(options: DriverOptions) {
    this.#options = options
  }

  /** Starts whatever the record requires and is not in progress yet. */
  advance(job: string): void {
    const record = this.#find(job)
    if (record === null) return
    const { departure } = record
    if (departure?.transferring) {
      const { address } = departure.server
      return this.#drive(job, `${record.term}/${address}`, () => this.#transfer(job, record, departure))
    }
    if (departure !== null && isSettled(record, this.#isServed(record)))
      this.#drive(job, 'depart', () => this.#depart(job))
    for (const move of record.moves) {
      const work = move.published ? () => this.#settle(job, move) : () => this.#deliverIndex(job, move)
      this.#drive(job, `${move.epoch}/${move.published ? 'settle' : 'hand'}`, work)
    }
    for (const leftover of record.leftovers) {
      this.#drive(job, `${leftover.epoch}/${leftover.node.id}`, () => this.#drop(job, leftover))
    }
  }

  /**
   * Sends a node its ownership message until it confirms, then shows the confirmed slots to clients. False if the node has no part in the
   * job.
   */
  async sendOwnership(job: string, node: PlacedNode): Promise<boolean> {
    const { jobs, messenger, address, generation, onShown } = this.#options
    let sent: JobRecord | null = null
    const delivered = await messenger.sendUntilConfirmed(node, nodeOperations.own, () => {
      sent = jobs.decides(job) ? jobs.record(job) : null
      if (sent === null || !isConcerned(sent, node)) return null
      return ownershipMessage(sent, { node: node.id, metadata: address, generation })
    })
    if (!delivered || sent === null || !jobs.decides(job)) return false
    const confirmed = jobs.view(job).show(node, { confirmed: sent, now: jobs.record(job) })
    onShown(job)
    // Slots that are served now may move.
    if (confirmed) void this.plan(job)
    return true
  }

  /** Plans moves that the shares require; a failed attempt is retried in the background. Never rejects. */
  async plan(job: string): Promise<void> {
    const { background, jobs } = this.#options
    const task = ['plan', job] as const
    const isPlanned = await background.attempt(task, () => this.#plan(job))
    // Earlier decisions continue even if planning fails.
    this.advance(job)
    if (isPlanned || this.#planning.has(job)) return
    this.#planning.add(job)
    await background.persist(
      task,
      () => this.#plan(job),
      () => jobs.has(job),
    )
    this.#planning.delete(job)
    this.advance(job)
  }

  async #plan(job: string): Promise<void> {
    const { jobs } = this.#options
    await jobs.changeLiving(job, (record) =>
      record.departure === null
        ? planMoves(record, this.#isServed(record), (node) => !this.#refusing.has(`${job}/${node}`))
        : record,
    )
  }

  /**
   * Waits until the job is settled, the target server is reachable and no change is under way, then marks the job as transferring. If a
   * change gets in between, the loop starts again.
   */
  async #depart(job: string): Promise<void> {
    const { jobs, gate, messenger } = this.#options
    for (;;) {
      const record = this.#find(job)
      const server = record?.departure?.server
      if (record === null || server === undefined || !jobs.decides(job)) break
      if (!isSettled(record, this.#isServed(record))) return
      const isWanted = (): boolean => this.#find(job)?.departure?.server.address === server.address
      if (!(await messenger.reachWhile(server, isWanted)) && isWanted()) return
      await gate.closed(job, async () => {
        await jobs.changeLiving(job, (record) => withTransfer(record, this.#isServed(record)))
      })
    }
    this.advance(job)
  }

  /** Sends the job record to the target server until it confirms. */
  async #transfer(job: string, record: JobRecord, { server }: Departure): Promise<void> {
    const { jobs, messenger, onTransferred: onHandedOver } = this.#options
    const next = recordForTarget(record)
    const pages = recordPages(next)
    const delivered = await messenger.sendAllUntilConfirmed(server, placementOperations.jobTake, () => {
      const moved = jobs.movedTo(job)
      return jobs.has(job) && moved?.term === next.term && moved.address === server.address ? pages : null
    })
    if (!delivered) return
    if (await jobs.completeTransfer({ id: job, term: next.term, address: server.address })) onHandedOver(job)
  }

  /**
   * State `prepared`: the target learns of the job; the source freezes the slots and sends it their index. If the target has no memory for
   * it, the source serves the slots again, or they would be frozen for as long as that takes.
   */
  async #deliverIndex(job: string, move: Move): Promise<void> {
    const { messenger } = this.#options
    const { epoch, source, target, slots } = move
    if (!(await this.sendOwnership(job, target))) return
    const next = () =>
      this.#isAt(job, move) ? { ...this.#sender(job), epoch, slots: [...slots], target } : null
    const isFull = (error: unknown): boolean => isError(error, 'CAPACITY_EXCEEDED')
    try {
      if (await messenger.sendUntilConfirmed(source, nodeOperations.release, next, isFull))
        await this.#applyEvent(job, move, 'indexDelivered')
    } catch (error) {
      if (!isFull(error)) throw error
      this.#avoid(job, target.id)
      await this.#applyEvent(job, move, 'targetRefused')
      await this.sendOwnership(job, source)
    }
  }

  /** Plans no moves of the job to the node for a while. */
  #avoid(job: string, node: string): void {
    const name = `${job}/${node}`
    this.#refusing.add(name)
    void sleep(this.#options.runtime.clock, REFUSED_MS).then(() => {
      this.#refusing.delete(name)
      return this.plan(job)
    })
  }

  /** State `published`: the target serves the slots, clients are shown it, and it pulls the remaining bytes. */
  async #settle(job: string, move: Move): Promise<void> {
    const { messenger } = this.#options
    const { epoch, target, slots } = move
    await this.sendOwnership(job, target)
    for (;;) {
      const answer = await messenger.callUntilConfirmed(target, nodeOperations.settled, () =>
        this.#isAt(job, move) ? { job, epoch, slots: [...slots] } : null,
      )
      if (answer === null) return
      if (answer.settled) return await this.#applyEvent(job, move, 'settled')
    }
  }

  async #drop(job: string, { node, epoch, slots }: Leftover): Promise<void> {
    const { jobs, messenger } = this.#options
    const isLeft = (): boolean =>
      this.#find(job)?.leftovers.some((left) => left.node.id === node.id && left.epoch === epoch) ?? false
    const dropped = await messenger.sendUntilConfirmed(node, nodeOperations.drop, () =>
      isLeft() ? { ...this.#sender(job), epoch, slots: [...slots] } : null,
    )
    if (!dropped) return
    await jobs.changeLiving(job, (record) => withoutLeftover(record, { node: node.id, epoch }))
    this.advance(job)
  }

  /** Applies an event of a move and continues. An event for a move that is in another state by now has no effect. */
  async #applyEvent(job: string, move: Move, event: MoveEvent): Promise<void> {
    const { jobs, isDead } = this.#options
    await jobs.changeLiving(job, (record) => {
      // If one end of the move is dead, the handling of its death decides about the move.
      const hasDeadEnd = isDead(move.source.id) || isDead(move.target.id)
      const tooLate = event !== 'settled' && hasDeadEnd
      return isAt(record, move) && !tooLate ? withMoveEvent(record, move, event) : record
    })
    await this.plan(job)
  }

  /** The sender fields of messages to the nodes of a job. */
  #sender(job: string): { job: string; metadata: string; generation: number; term: number } {
    const { jobs, address, generation } = this.#options
    return { job, metadata: address, generation, term: jobs.record(job).term }
  }

  #isServed(record: JobRecord): (slot: number) => boolean {
    const view = this.#options.jobs.view(record.id)
    return (slot) => view.isServed(slot, record)
  }

  /** Runs `work` until it succeeds, once per name. Work depends on stored state only, so it can be repeated from its start. */
  #drive(job: string, what: string, work: () => Promise<void>): void {
    const name = `${job}/${what}`
    if (this.#driving.has(name)) return
    this.#driving.add(name)
    const { background, jobs } = this.#options
    void background
      .persist(['drive', job], work, () => jobs.has(job))
      .finally(() => this.#driving.delete(name))
  }

  #isAt(job: string, move: Move): boolean {
    const record = this.#find(job)
    return record !== null && isAt(record, move)
  }

  #find(job: string): JobRecord | null {
    const { jobs } = this.#options
    return jobs.has(job) ? jobs.record(job) : null
  }
}

function isAt(record: JobRecord, { epoch, published }: Move): boolean {
  return record.moves.some((move) => move.epoch === epoch && move.published === published)
}

/** Whether a node owns slots of the job or is the target of a move. */
function isConcerned({ nodes, moves }: JobRecord, { id }: PlacedNode): boolean {
  return nodes.some((node) => node.id === id) || moves.some(({ target }) => target.id === id)
}
