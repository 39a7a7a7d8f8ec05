import { EVENTS_KEPT_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'

/** What happened in the cluster, as `GET /v1/events` tells it. */
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
  /** Rises with every event, also over restarts of the controller. */
  readonly id: number
  readonly type: EventType
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
  /** Ids and numbers that belong to it. */
  readonly data: Readonly<Record<string, unknown>>
}

type Listener = (event: ClusterEvent) => void

/** The last `EVENTS_KEPT_MAX` events, and whoever listens for the next. */
export class Events {
  readonly #clock: Clock
  readonly #kept: ClusterEvent[] = []
  readonly #listeners = new Set<Listener>()
  readonly #counts = new Map<EventType, number>()
  #lastId: number

  /** Ids begin at the microseconds of the wall clock: above all that an earlier process can have given. */
  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastId = Math.floor(clock.wallMs()) * 1000
  }

  emit(type: EventType, data: Readonly<Record<string, unknown>>): void {
    const event = { id: ++this.#lastId, type, atMs: this.#clock.wallMs(), data }
    this.#kept.push(event)
    if (this.#kept.length > EVENTS_KEPT_MAX) this.#kept.shift()
    this.#counts.set(type, this.countOf(type) + 1)
    for (const listener of this.#listeners) listener(event)
  }

  /** Events with a higher id than `after` that are still kept, oldest first. */
  since(after: number): readonly ClusterEvent[] {
    return this.#kept.filter(({ id }) => id > after)
  }

  /** Calls `listener` for each event from now on, until the function that it returns is called. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** How many there were of a type since this process started. */
  countOf(type: EventType): number {
    return this.#counts.get(type) ?? 0
  }
}
