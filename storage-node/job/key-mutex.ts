import { KeyedMutex } from '../../service/process/locks.ts'
import { keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import type { NodeJob } from './job.ts'
import { type Address, type KeyLocation, locate } from './locate.ts'

/** Serializes operations on one key that wait for the persistent store. */
export class KeyMutex {
  readonly #mutex = new KeyedMutex()

  /** Whether an operation on the key runs or waits. */
  isLocked(job: NodeJob, address: Address): boolean {
    return this.#mutex.isLocked(nameOf(job, address))
  }

  /**
   * Runs `task` after all earlier operations on the key. A slot that is being released waits for running
   * operations, so that they cannot take effect after its next owner's. Throws what `locate` throws, when
   * called and again when the task starts.
   */
  async run<Result>(
    job: NodeJob,
    address: Address,
    task: (place: KeyLocation) => Promise<Result>,
  ): Promise<Result> {
    const place = locate(job, address)
    job.notePersisted()
    const running = this.#mutex.run(nameOf(job, place), async () => await task(locate(job, address)))
    const { persisting } = place.slot
    persisting.add(running)
    try {
      return await running
    } finally {
      persisting.delete(running)
    }
  }
}

/** Resolves when no operation that was begun in the slot is running. */
export async function untilPersisted(slot: Slot): Promise<void> {
  if (slot.persisting.size > 0) await Promise.allSettled(slot.persisting)
}

function nameOf(job: NodeJob, { bucket, key }: Address): string {
  return `${job.id}/${bucket}/${keyString(key)}`
}
