import { keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import type { NodeJob } from './job.ts'
import { type Address, type KeyLocation, locate } from './locate.ts'

/** Lets what is done to one key and waits for the kept store happen one after the other. */
export class KeyMutex {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Somebody has the turn of this key, or waits for it. */
  isTaken(job: NodeJob, address: Address): boolean {
    return this.#last.has(nameOf(job, address))
  }

  /**
   * Runs `task` after all that took a turn of this key before, however that ended. A slot that is given away waits for all that
   * has begun here, so that nothing of it comes after what the next owner does. Throws what `locate` throws, before and then.
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

/** Resolves when nothing that was begun in the slot is under way. */
export async function untilPersisted(slot: Slot): Promise<void> {
  if (slot.persisting.size > 0) await Promise.allSettled(slot.persisting)
}

function nameOf(job: NodeJob, { bucket, key }: Address): string {
  return `${job.id}/${bucket}/${keyString(key)}`
}
