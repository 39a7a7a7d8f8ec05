import type { Clock } from '../../protocol/runtime.ts'
import { EVENTS_RETAINED_MAX } from '../limits.ts'

/** The event types of `GET /v1/events`. */
export const eventTypes = [
  'job.registering',
  'job.active',
  'job.resized',
  'job.scaled',
  'job.degraded',
  'job.moved',
  'job.ended',
  'node.starting',
  'node.active',
  'node.draining',
  'node.drained',
  'node.silent',
  'node.lost',
  'node.stopped',
  'class.scaledOut',
  'class.scaledIn',
  'class.full',
  'class.rebalanced',
  'metadata.starting',
  'metadata.active',
  'task.failing',
  'task.recovered',
] as const
export type EventType = (typeof eventTypes)[number]

export interface ClusterEvent {
  /** Rises with every event, also across restarts of the controller. */
  readonly id: number
  readonly type: EventType
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
  /** Ids and numbers of the event. */
  readonly data: Readonly<Record<string, unknown>>
}

type Listener = (event: ClusterEvent) => void

/** The last `EVENTS_RETAINED_MAX` events, and the subscribers to new ones. */
export class Events {
  readonly #clock: Clock
  readonly #retained: ClusterEvent[] = []
  readonly #listeners = new Set<Listener>()
  readonly #counts = new Map<EventType, number>()
  #lastId: number

  /** Ids start at the wall clock in microseconds, above any id of an earlier process. */
  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastId = Math.floor(clock.wallMs()) * 1000
  }

  emit(type: EventType, data: Readonly<Record<string, unknown>>): void {
    const event = { id: ++this.#lastId, type, atMs: this.#clock.wallMs(), data }
    this.#retained.push(event)
    if (this.#retained.length > EVENTS_RETAINED_MAX) this.#retained.shift()
    this.#counts.set(type, this.countOf(type) + 1)
    for (const listener of this.#listeners) listener(event)
  }

  /**
   * Retained events with an id above `after`, oldest first. All of them if this process has given no such id yet: then it is of a process whose clock was
   * ahead.
   */
  since(after: number): readonly ClusterEvent[] {
    return this.#retained.filter(({ id }) => id > after || after > this.#lastId)
  }

  /** Calls `listener` for each new event until the returned function is called. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Number of events of a type since this process started. */
  countOf(type: EventType): number {
    return this.#counts.get(type) ?? 0
  }
}
