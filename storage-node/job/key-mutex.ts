import { keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import type { NodeJob } from './job.ts'
import { type Address, type KeyLocation, locate } from './locate.ts'

/** Serializes operations on one key that wait for the persistent store. */
export class KeyMutex {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Whether an operation on the key runs or waits. */
  isTaken(job: NodeJob, address: Address): boolean {
    return this.#last.has(nameOf(job, address))
  }

  /**
   * Runs `task` after all earlier operations on the key, whether they succeeded or not. A slot that is being
   * released waits for running operations, so that they cannot take effect after its next owner's. Throws
   * what `locate` throws, when called and again when the task starts.
   */
  async take<Result>(
    job: NodeJob,
    address: Address,
    task: (place: KeyLocation) => Promise<Result>,
  ): Promise<Result> {
    const place = locate(job, address)
    job.persists = true
    const name = nameOf(job, place)
    const running = this.#after(this.#last.get(name), () => task(locate(job, address)))
    const { persisting } = place.slot
    this.#last.set(name, running)
    persisting.add(running)
    try {
      return await running
    } finally {
      persisting.delete(running)
      if (this.#last.get(name) === running) this.#last.delete(name)
    }
  }

  async #after<Result>(before: Promise<unknown> | undefined, task: () => Promise<Result>): Promise<Result> {
    if (before !== undefined) await Promise.allSettled([before])
    return await task()
  }
}

/** Resolves when no operation that was begun in the slot is running. */
export async function untilPersisted(slot: Slot): Promise<void> {
  if (slot.persisting.size > 0) await Promise.allSettled(slot.persisting)
}

function nameOf(job: NodeJob, { bucket, key }: Address): string {
  return `${job.id}/${bucket}/${keyString(key)}`
}
