import { type Clock, sleep } from '../../protocol/runtime.ts'
import { SWEEP_CELLS } from '../limits.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import type { Slot } from './slot.ts'
import type { StoredObject } from './stored-object.ts'

/** Table cells visited in one step. */
const STEP_CELLS = 500

/** Yields to the event loop between the steps of background work. */
export class SweepPauses {
  readonly #clock: Clock
  readonly #pauseMs: number
  #cells = 0

  constructor(clock: Clock, pauseMs: number) {
    this.#clock = clock
    this.#pauseMs = pauseMs
  }

  /** Called after each step. Null if the next one may follow at once. */
  stepped(): Promise<void> | null {
    this.#cells += STEP_CELLS
    if (this.#cells < SWEEP_CELLS) return null
    this.#cells = 0
    return sleep(this.#clock, this.#pauseMs)
  }
}

/**
 * Scans one part of a slot from a hash on and removes what matches. Returns the hash to continue at; null at
 * the end.
 */
export function removeMatching(
  slot: Slot,
  from: number,
  matches: (object: StoredObject) => boolean,
): number | null {
  const found: KeyHash[] = []
  const next = slot.objects.scan(from, STEP_CELLS, (object, hash) => {
    if (matches(object)) found.push({ bucket: object.bucket, key: Buffer.from(object.key), hash })
  })
  for (const key of found) {
    const object = slot.find(key)
    if (object !== undefined) slot.objects.remove(key, object)
  }
  return next
}

/** Frees the content of a slot that nobody serves any more, in steps. */
export async function freeSlot(slot: Slot, clock: Clock): Promise<void> {
  const pauses = new SweepPauses(clock, 0)
  for (const groupKey of slot.chunks.groups.keys()) slot.chunks.removeGroup(groupKey)
  for (let from: number | null = 0; from !== null; ) {
    from = removeMatching(slot, from, () => true)
    const pause = pauses.stepped()
    if (pause !== null) await pause
  }
  slot.objects.releaseTable()
}
