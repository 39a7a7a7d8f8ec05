import type { ServerResponse } from 'node:http'
import { type Clock, repeat, type Timer } from '../../../protocol/runtime.ts'
import type { Caller } from '../../access/keys.ts'
import type { Events } from '../../events/events.ts'
import { Allowance } from '../../jobs/allowance.ts'
import { PAGE_EVENTS_MAX, PAGE_SAMPLE_MS, PAGE_STREAMS_MAX, PAGE_STREAMS_OF_KEY_MAX } from '../../limits.ts'
import { openEventStream } from '../event-stream.ts'
import type { Hello } from './snapshot.ts'
import type { Snapshots } from './snapshots.ts'

interface Reader {
  readonly write: (text: string) => void
  readonly end: () => void
  /** Null once the session has ended. */
  readonly caller: () => Caller | null
}

/** The stream of the page: `hello` once, then `snapshot` every `PAGE_SAMPLE_MS` and `event` as events happen. */
export class PageFeed {
  readonly #clock: Clock
  readonly #events: Events
  readonly #snapshots: Snapshots
  readonly #readers = new Set<Reader>()
  readonly #sampling: Timer
  readonly #unsubscribe: () => void
  readonly #allowance = new Allowance('streams of the page', {
    max: PAGE_STREAMS_MAX,
    ownerMax: PAGE_STREAMS_OF_KEY_MAX,
  })

  constructor(of: { clock: Clock; events: Events; snapshots: Snapshots }) {
    this.#clock = of.clock
    this.#events = of.events
    this.#snapshots = of.snapshots
    this.#sampling = repeat(of.clock, PAGE_SAMPLE_MS, () => this.#sample())
    this.#sampling.unref()
    this.#unsubscribe = of.events.subscribe((event) => this.#send('event', event))
  }

  /** Throws `TOO_MANY_REQUESTS` if the API key may open no more. */
  requireRoom(owner: string): void {
    this.#allowance.require(owner)
  }

  /** Serves until the reader disconnects, falls behind, its session ends, or the server stops. */
  serve(response: ServerResponse, of: { readonly owner: string; readonly find: () => Caller | null }): void {
    const leave = this.#allowance.enter(of.owner)
    const { write, end } = openEventStream(response, this.#clock)
    const reader: Reader = { write, end, caller: of.find }
    const hello: Hello = {
      samples: this.#snapshots.samples,
      jobs: this.#snapshots.jobs,
      events: this.#events.since(0).slice(-PAGE_EVENTS_MAX),
    }
    write(format('hello', hello))
    const now = this.#snapshots.now()
    if (now !== null) write(format('snapshot', now))
    this.#readers.add(reader)
    response.once('close', () => {
      leave()
      this.#readers.delete(reader)
    })
  }

  close(): void {
    this.#sampling.cancel()
    this.#unsubscribe()
    for (const { end } of this.#readers) end()
  }

  #sample(): void {
    this.#snapshots.take()
    for (const reader of this.#readers) if (reader.caller() === null) reader.end()
    if (this.#readers.size > 0) this.#send('snapshot', this.#snapshots.now())
  }

  #send(type: string, data: unknown): void {
    if (this.#readers.size === 0) return
    const text = format(type, data)
    for (const { write } of this.#readers) write(text)
  }
}

function format(type: string, data: unknown): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}
