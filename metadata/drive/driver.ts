import type { PlacedNode } from '../../protocol/model/placement.ts'
import { nodeOperations, placementOperations } from '../../protocol/operations/control-operations.ts'
import type { Background } from '../../service/process/background.ts'
import { ownMessage } from '../decide/decisions.ts'
import { handedOn, isSettled, withHanding } from '../decide/departure.ts'
import type { MoveEvent } from '../decide/handoff.ts'
import type { JobRecord, Leaving, Leftover, Move } from '../decide/job-record.ts'
import { planMoves, withMoveEvent, withoutLeftover } from '../decide/moves.ts'
import { recordPages } from '../decide/record-pages.ts'
import type { Gate } from './gate.ts'
import type { Jobs } from './jobs.ts'
import type { Messenger } from './messenger.ts'

export interface DriverOptions {
  readonly jobs: Jobs
  readonly messenger: Messenger
  readonly gate: Gate
  readonly background: Background
  /** Where nodes reach this server. */
  readonly address: string
  readonly generation: number
  /** The node's death is decided, though perhaps not yet written down: nothing is given to it any more. */
  readonly isDead: (node: string) => boolean
  /** What clients are shown of a job has changed. */
  readonly onShown: (job: string) => void
  /** Another metadata server has the job now. */
  readonly onHandedOver: (job: string) => void
}

/**
 * Carries out what was decided: tells nodes what they own, drives each move from state to state, and has leftovers
 * freed. It goes by what is written down alone, so a server that was started again just takes up where the record stands.
 */
export class Driver {
  readonly #options: DriverOptions
  /** Moves, leftovers and departures that are being driven, by job, epoch and state. */
  readonly #driving = new Set<string>()
  /** Jobs whose moves could not be planned, and are tried again. */
  readonly #planning = new Set<string>()

  constructor(options: DriverOptions) {
    this.#options = options
  }

  /** Begins whatever the record says has to be done and nobody is doing yet. */
  advance(job: string): void {
    const record = this.#find(job)
    if (record === null) return
    const { leaving } = record
    if (leaving?.handing) {
      const { address } = leaving.server
      return this.#drive(job, `${record.term}/${address}`, () => this.#handOver(job, record, leaving))
    }
    if (leaving !== null && isSettled(record, this.#isServed(record)))
      this.#drive(job, 'leave', () => this.#leave(job))
    for (const move of record.moves) {
      const work = move.published ? () => this.#settle(job, move) : () => this.#hand(job, move)
      this.#drive(job, `${move.epoch}/${move.published ? 'settle' : 'hand'}`, work)
    }
    for (const leftover of record.leftovers) {
      this.#drive(job, `${leftover.epoch}/${leftover.node.id}`, () => this.#drop(job, leftover))
    }
  }

  /** Tells a node all that it owns of a job, until it confirms, and shows that to clients. False: it has no part in it. */
  async tellOwner(job: string, node: PlacedNode): Promise<boolean> {
    const { jobs, messenger, address, generation, onShown } = this.#options
    let told: JobRecord | null = null
    const heard = await messenger.tellUntilHeard(node, nodeOperations.own, () => {
      told = jobs.decides(job) ? jobs.record(job) : null
      if (told === null || !isConcerned(told, node)) return null
      return ownMessage(told, { node: node.id, metadata: address, generation })
    })
    if (!heard || told === null || !jobs.decides(job)) return false
    const confirmed = jobs.view(job).show(node, { told, now: jobs.record(job) })
    onShown(job)
    // What it serves may move from now on.
    if (confirmed) void this.plan(job)
    return true
  }

  /** Begins moves where the shares ask for them, also where that takes more than one attempt. Never rejects. */
  async plan(job: string): Promise<void> {
    const { background, jobs } = this.#options
    const task = ['plan', job] as const
    const isPlanned = await background.attempt(task, () => this.#plan(job))
    // What was decided before goes on in any case.
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
      record.leaving === null ? planMoves(record, this.#isServed(record)) : record,
    )
  }

  /**
   * The job leaves: once it is settled, no change is under way and the next server is there, nothing is decided here any
   * more. Where that is not so after all, whatever comes of it looks again.
   */
  async #leave(job: string): Promise<void> {
    const { jobs, gate, messenger } = this.#options
    for (;;) {
      const record = this.#find(job)
      const server = record?.leaving?.server
      if (record === null || server === undefined || !jobs.decides(job)) break
      if (!isSettled(record, this.#isServed(record))) return
      const isWanted = (): boolean => this.#find(job)?.leaving?.server.address === server.address
      if (!(await messenger.reachWhile(server, isWanted)) && isWanted()) return
      await gate.closed(job, async () => {
        await jobs.changeLiving(job, (record) => withHanding(record, this.#isServed(record)))
      })
    }
    this.advance(job)
  }

  /** Brings the next server all that is known of the job, until it has it. */
  async #handOver(job: string, record: JobRecord, { server }: Leaving): Promise<void> {
    const { jobs, messenger, onHandedOver } = this.#options
    const next = handedOn(record)
    const pages = recordPages(next)
    const heard = await messenger.tellAllUntilHeard(server, placementOperations.jobTake, () => {
      const moved = jobs.movedTo(job)
      return jobs.has(job) && moved?.term === next.term && moved.address === server.address ? pages : null
    })
    if (!heard) return
    if (await jobs.handOver({ id: job, term: next.term, address: server.address })) onHandedOver(job)
  }

  /** Prepared: the target learns of the job, the source freezes the slots and brings it their index. */
  async #hand(job: string, move: Move): Promise<void> {
    const { messenger } = this.#options
    const { epoch, source, target, slots } = move
    if (!(await this.tellOwner(job, target))) return
    const released = await messenger.tellUntilHeard(source, nodeOperations.release, () =>
      this.#isAt(job, move) ? { ...this.#speaker(job), epoch, slots: [...slots], target } : null,
    )
    if (released) await this.#happen(job, move, 'indexDelivered')
  }

  /** Published: the target serves, clients are shown it, and it pulls what is left. */
  async #settle(job: string, move: Move): Promise<void> {
    const { messenger } = this.#options
    const { epoch, target, slots } = move
    await this.tellOwner(job, target)
    for (;;) {
      const answer = await messenger.askUntilHeard(target, nodeOperations.settled, () =>
        this.#isAt(job, move) ? { job, epoch, slots: [...slots] } : null,
      )
      if (answer === null) return
      if (answer.settled) return await this.#happen(job, move, 'settled')
    }
  }

  async #drop(job: string, { node, epoch, slots }: Leftover): Promise<void> {
    const { jobs, messenger } = this.#options
    const isLeft = (): boolean =>
      this.#find(job)?.leftovers.some((left) => left.node.id === node.id && left.epoch === epoch) ?? false
    const dropped = await messenger.tellUntilHeard(node, nodeOperations.drop, () =>
      isLeft() ? { ...this.#speaker(job), epoch, slots: [...slots] } : null,
    )
    if (!dropped) return
    await jobs.changeLiving(job, (record) => withoutLeftover(record, { node: node.id, epoch }))
    this.advance(job)
  }

  /** Decides, writes down and goes on; an event of a move that is in another state by now changes nothing. */
  async #happen(job: string, move: Move, event: MoveEvent): Promise<void> {
    const { jobs, isDead } = this.#options
    await jobs.changeLiving(job, (record) => {
      // What becomes of a move with an end that is dead is for its death to say, at the moment that was decided.
      const hasDeadEnd = isDead(move.source.id) || isDead(move.target.id)
      const tooLate = event === 'indexDelivered' && hasDeadEnd
      return isAt(record, move) && !tooLate ? withMoveEvent(record, move, event) : record
    })
    await this.plan(job)
  }

  /** Who says what a node is told of a job that lives here. */
  #speaker(job: string): { job: string; metadata: string; generation: number; term: number } {
    const { jobs, address, generation } = this.#options
    return { job, metadata: address, generation, term: jobs.record(job).term }
  }

  #isServed(record: JobRecord): (slot: number) => boolean {
    const view = this.#options.jobs.view(record.id)
    return (slot) => view.isServed(slot, record)
  }

  /** Work goes by what is written down, so that it can be done again from its beginning. */
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

/** Whether a node owns slots of the job or is about to. */
function isConcerned({ nodes, moves }: JobRecord, { id }: PlacedNode): boolean {
  return nodes.some((node) => node.id === id) || moves.some(({ target }) => target.id === id)
}
