import type { Timer } from '../../../protocol/runtime.ts'
import { Heap } from './heap.ts'

interface Event {
  readonly atMs: number
  readonly order: number
  readonly task: () => void
  cancelled: boolean
}

/** Events that share one turn of the real event loop: Node drains all microtasks between two immediates. */
const BATCH = 128

/**
 * Virtual time. Each event runs alone, and every promise that it settles is followed to its end before the next event, so that only the seed determines the
 * order.
 */
export class Timeline {
  nowMs = 0
  events = 0
  readonly #heap = new Heap<Event>()
  #order = 0
  #hash = 0x811c9dc5

  /** Folds a number into the hash of all events: two runs are the same if their hashes are. */
  trace(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193)
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  at(atMs: number, task: () => void): Timer {
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, task, cancelled: false }
    this.#heap.push(event)
    return {
      cancel: () => {
        event.cancelled = true
      },
      // There is no real handle that could keep the process alive.
      unref: () => undefined,
    }
  }

  /** Lets time run until `done` settles. Rejects if no event is left, or if virtual time exceeds the bound. */
  run<Result>(done: Promise<Result>, untilMs: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      let over = false
      const stop = (how: () => void): void => {
        if (over) return
        over = true
        how()
      }
      done.then(
        (result) => stop(() => resolve(result)),
        (error: unknown) => stop(() => reject(error)),
      )
      const batch = (): void => {
        for (let i = 0; i < BATCH - 1; i++) setImmediate(turn)
        setImmediate(() => {
          turn()
          if (!over) batch()
        })
      }
      const turn = (): void => {
        if (over) return
        try {
          if (!this.#next()) stop(() => reject(new Error('Nothing is left to happen: a call hangs for ever')))
          else if (this.nowMs > untilMs) stop(() => reject(new Error(`It is not over at ${untilMs} ms`)))
        } catch (error) {
          stop(() => reject(error))
        }
      }
      batch()
    })
  }

  #next(): boolean {
    for (;;) {
      const event = this.#heap.pop()
      if (event === undefined) return false
      if (event.cancelled) continue
      this.nowMs = event.atMs
      this.events++
      this.trace(event.atMs * 1000)
      event.task()
      return true
    }
  }
}
