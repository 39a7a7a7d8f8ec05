import { MayflyError } from '../../protocol/errors.ts'
import type { Frame } from '../../protocol/wire/frame.ts'
import { violation } from '../../protocol/wire/reader.ts'

type Task = (reason: MayflyError) => void

/**
 * The requests of one connection that are not answered at once, and their tasks for when the client no longer
 * waits.
 */
export class RequestsUnderWay {
  readonly #ids = new Set<number>()
  readonly #parked = new Map<number, Task>()
  /** Requests that were cancelled while not parked. */
  readonly #cancelled = new Set<number>()
  /** Requests that waited for something. */
  readonly #waited = new Set<number>()
  #isBroken = false

  get size(): number {
    return this.#ids.size
  }

  has(id: number): boolean {
    return this.#ids.has(id)
  }

  begin(id: number): void {
    this.#ids.add(id)
  }

  /** True if the request waited for something, as for a key that was not there. */
  end(id: number): boolean {
    this.#ids.delete(id)
    this.#cancelled.delete(id)
    return this.#waited.delete(id)
  }

  /**
   * Runs `task` when the client no longer waits for request `id`; soon if that is so already. The returned
   * function cancels that.
   */
  park(id: number, task: Task): () => void {
    this.#waited.add(id)
    if (!this.#isBroken && !this.#cancelled.has(id)) {
      this.#parked.set(id, task)
      return () => void this.#parked.delete(id)
    }
    let isTakenBack = false
    queueMicrotask(() => {
      if (!isTakenBack) task(this.#isBroken ? brokenOff() : givenUp())
    })
    return () => {
      isTakenBack = true
    }
  }

  /** False if the request continues; a parked one fails right after this. */
  cancel(id: number): boolean {
    const task = this.#parked.get(id)
    if (task === undefined) {
      if (!this.#ids.has(id)) return true
      this.#cancelled.add(id)
      return false
    }
    queueMicrotask(() => {
      if (this.#parked.get(id) === task) task(givenUp())
    })
    return true
  }

  /** The connection is gone. */
  breakOff(): void {
    this.#isBroken = true
    for (const task of [...this.#parked.values()]) task(brokenOff())
  }
}

function givenUp(): MayflyError {
  return new MayflyError('ABORTED', 'The client gave the request up')
}

function brokenOff(): MayflyError {
  return new MayflyError('CONNECTION_LOST', 'The connection broke while the request waited')
}

export function repeatedId({ id, landing }: Frame): MayflyError {
  landing?.abandon()
  return violation(`a request has the id ${id} of another one that is under way`)
}
