import { type NodeJob, stalePlacement } from '../job/job.ts'
import { LIST_CURSOR_BYTES_MAX, LIST_RUN_KEYS, LIST_SCAN_BATCH, LIST_SCAN_CELLS } from '../limits.ts'
import type { RecordKey } from '../memory/record-key.ts'
import { type KeyString, keyBytes, keyString } from '../slot/key-string.ts'
import { isExpired } from '../slot/stored-object.ts'
import { ListCursor } from './list-cursors.ts'

interface GatheringScope {
  readonly bucket: number
  readonly prefix: Uint8Array
  readonly after: Uint8Array
  readonly slots: readonly number[]
  /** As many keys are enough. */
  readonly keysMax: number
}

/** Memory of a key string in a list, besides its characters. */
const KEY_OVERHEAD_BYTES = 40

/**
 * Collects the smallest keys above `after` in some slots, in order. Keys are collected in sorted runs and
 * merged at the end. Whenever they take twice the bound of a cursor, or are twice as many as are enough, the larger
 * half is dropped, and higher keys are ignored from then on. It is interrupted regularly, also within a slot; a key that exists
 * during a whole scan is visited once.
 */
export class KeyGathering {
  readonly #job: NodeJob
  readonly #asked: GatheringScope
  #runs: KeyString[][] = []
  #run: KeyString[] = []
  #bytes = 0
  #count = 0
  /** The part of them that is charged to the job. */
  #chargedBytes = 0
  /** Keys above this are ignored. */
  #bound: Buffer | null = null
  /** Cells visited since it last yielded. */
  #steps = 0

  constructor(job: NodeJob, asked: GatheringScope) {
    this.#job = job
    this.#asked = asked
  }

  /** Throws `STALE_PLACEMENT` if a slot is released meanwhile. */
  *run(): Generator<void, ListCursor> {
    try {
      for (const index of this.#asked.slots) yield* this.#scanSlot(index)
      const keys = yield* this.#merged()
      return new ListCursor({ keys, bytes: this.#bytes, isComplete: this.#bound === null })
    } finally {
      this.#charge(0)
    }
  }

  #charge(bytes: number): void {
    this.#job.chargeOverhead(bytes - this.#chargedBytes)
    this.#chargedBytes = bytes
  }

  *#scanSlot(index: number): Generator<void, void> {
    const slot = this.#job.touchedSlot(index)
    if (slot === undefined) return
    for (let from: number | null = 0; from !== null; ) {
      const start: number = from
      if (this.#job.touchedSlot(index) !== slot)
        throw stalePlacement(`slot ${index} as it was when the listing began`)
      const { wallMs } = this.#job
      from = slot.objects.scanKeys(start, LIST_SCAN_CELLS, (key) => {
        if (key.bucket !== this.#asked.bucket || isExpired(key, wallMs)) return
        this.#add(key)
      })
      if (this.#run.length >= LIST_RUN_KEYS) this.#endRun()
      if (this.#bytes > 2 * LIST_CURSOR_BYTES_MAX || this.#count > 2 * this.#asked.keysMax) yield* this.#cut()
      this.#charge(this.#bytes)
      this.#steps += Math.min(LIST_SCAN_CELLS, 2 * slot.objects.size + 1)
      if (this.#steps < LIST_SCAN_BATCH) continue
      this.#steps = 0
      yield
    }
  }

  #add(key: RecordKey): void {
    const { prefix, after } = this.#asked
    if (this.#bound !== null && key.compare(this.#bound) > 0) return
    if (!key.startsWith(prefix) || key.compare(after) <= 0) return
    this.#run.push(keyString(key.bytes))
    this.#bytes += key.length + KEY_OVERHEAD_BYTES
    this.#count++
  }

  #endRun(): void {
    if (this.#run.length === 0) return
    this.#runs.push(this.#run.sort())
    this.#run = []
  }

  /** Keeps as many of the smallest keys as fit a cursor and are enough. */
  *#cut(): Generator<void, void> {
    const keys = yield* this.#merged()
    let count = 0
    let bytes = 0
    const countMax = Math.min(keys.length, this.#asked.keysMax)
    while (count < countMax && (count === 0 || bytes < LIST_CURSOR_BYTES_MAX))
      bytes += (keys[count++]?.length ?? 0) + KEY_OVERHEAD_BYTES
    const bound = keys[count - 1]
    if (count === keys.length || bound === undefined) return
    keys.length = count
    this.#bytes = bytes
    this.#count = count
    this.#bound = keyBytes(bound)
  }

  /** Merges everything into one run. */
  *#merged(): Generator<void, KeyString[]> {
    this.#endRun()
    while (this.#runs.length > 1) {
      // Merges the two oldest runs first, so that each key is merged a logarithmic number of times.
      const [left = [], right = [], ...rest] = this.#runs
      this.#runs = [...rest, yield* this.#merge(left, right)]
    }
    return this.#runs[0] ?? []
  }

  *#merge(left: readonly KeyString[], right: readonly KeyString[]): Generator<void, KeyString[]> {
    const merged: KeyString[] = []
    for (let at = 0, other = 0; at < left.length || other < right.length; ) {
      const a = left[at]
      const b = right[other]
      if (b === undefined || (a !== undefined && a < b)) {
        merged.push(a as KeyString)
        at++
      } else {
        merged.push(b)
        other++
      }
      if (merged.length % LIST_SCAN_BATCH === 0) yield
    }
    return merged
  }
}
