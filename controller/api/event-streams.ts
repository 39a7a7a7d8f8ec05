import type { ServerResponse } from 'node:http'
import type { Clock } from '../../protocol/runtime.ts'
import type { ClusterEvent, Events } from '../events/events.ts'
import { Allowance } from '../jobs/allowance.ts'
import { EVENT_STREAMS_MAX, EVENT_STREAMS_OF_KEY_MAX } from '../limits.ts'
import { openEventStream } from './event-stream.ts'

/** Open streams of `GET /v1/events` (server-sent events, WHATWG HTML, section 9.2). */
export class EventStreams {
  readonly #events: Events
  readonly #clock: Clock
  readonly #open = new Set<() => void>()
  readonly #allowance = new Allowance('streams of events', {
    max: EVENT_STREAMS_MAX,
    ownerMax: EVENT_STREAMS_OF_KEY_MAX,
  })

  constructor(events: Events, clock: Clock) {
    this.#events = events
    this.#clock = clock
  }

  /** Throws `TOO_MANY_REQUESTS` if the API key has its maximum of streams open. */
  requireRoom(owner: string): void {
    this.#allowance.require(owner)
  }

  /** Writes the retained events above `after`, none for null, and then each new one, until the reader disconnects, falls behind, or the server stops. */
  serve(response: ServerResponse, { owner, after }: { owner: string; after: number | null }): void {
    const leave = this.#allowance.enter(owner)
    const { write, end } = openEventStream(response, this.#clock)
    for (const event of after === null ? [] : this.#events.since(after)) write(format(event))
    const unsubscribe = this.#events.subscribe((event) => write(format(event)))
    this.#open.add(end)
    response.once('close', () => {
      unsubscribe()
      leave()
      this.#open.delete(end)
    })
  }

  close(): void {
    for (const end of this.#open) end()
  }
}

function format({ id, type, atMs, data }: ClusterEvent): string {
  const body = JSON.stringify({ at: new Date(atMs).toISOString(), ...data })
  return `id: ${id}\nevent: ${type}\ndata: ${body}\n\n`
}
