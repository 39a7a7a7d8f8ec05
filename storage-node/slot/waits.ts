import { MayflyError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Waiter } from '../../service/server/peer.ts'
import { WAIT_BYTES } from '../budget/limits.ts'
import type { StepBudget } from '../budget/step-budget.ts'
import type { Release, UnderWay } from '../budget/under-way.ts'
import type { PlainRead } from '../memory/plain-record.ts'
import { keyString } from './key-string.ts'
import { KeyWaits, type Wait } from './key-waits.ts'
import type { Slot } from './slot.ts'

export interface At {
  readonly slot: Slot
  readonly bucket: number
  readonly key: Uint8Array
}

/** How a parked get ends. */
export interface ParkedRead<Result> {
  /** Runs at every put of the key: the answer, or null if another consumer took the object. */
  attempt(): Result | Promise<Result> | null
  /** The answer with a value that is not stored; null if the get does not consume all of it. */
  deliver(value: PlainRead): Result | null
  /** The error at the timeout. */
  missed(): MayflyError
}

interface ParkOptions {
  readonly waitMs: number
  readonly clock: Clock
  readonly waiter: Waiter
  readonly underWay: UnderWay
}

/**
 * Parks a get. Rejects with `ABORTED` or `CONNECTION_LOST` when the client has given up, and with `UNAVAILABLE` if too much of the job is
 * parked.
 */
export function park<Result>(place: At, options: ParkOptions, read: ParkedRead<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    void new ParkedGet(place, options, { read, resolve, reject })
  })
}

interface Call<Result> {
  readonly read: ParkedRead<Result>
  readonly resolve: (result: Result | Promise<Result>) => void
  readonly reject: (error: unknown) => void
}

class ParkedGet<Result> implements Wait {
  before: Wait | null = null
  after: Wait | null = null
  readonly #name: string
  readonly #waits: KeyWaits
  readonly #all: Map<string, KeyWaits>
  readonly #call: Call<Result>
  readonly #release: Release
  readonly #timer: Timer
  readonly #forgetClose: () => void

  constructor(
    { slot, bucket, key }: At,
    { waitMs, clock, waiter, underWay }: ParkOptions,
    call: Call<Result>,
  ) {
    this.#call = call
    this.#release = underWay.park(WAIT_BYTES + key.length)
    this.#name = waitKey(bucket, key)
    slot.waits ??= new Map()
    this.#all = slot.waits
    this.#waits = this.#all.get(this.#name) ?? new KeyWaits()
    if (this.#waits.isEmpty) this.#all.set(this.#name, this.#waits)
    this.#waits.add(this)
    this.#timer = clock.after(waitMs, () => this.fail(this.#waits.failure ?? call.read.missed()))
    this.#forgetClose = waiter.peer.whenGone(waiter.id, (reason) => this.fail(reason))
  }

  answer(): boolean {
    const { read, resolve } = this.#call
    try {
      const result = read.attempt()
      if (result === null) return false
      this.#leave()
      resolve(result)
    } catch (error) {
      this.fail(error)
    }
    return true
  }

  deliver(value: PlainRead): boolean {
    const { read, resolve } = this.#call
    const result = read.deliver(value)
    if (result === null) return false
    this.#leave()
    resolve(result)
    return true
  }

  fail(error: unknown): void {
    this.#leave()
    this.#call.reject(error)
  }

  #leave(): void {
    this.#release()
    this.#timer.cancel()
    this.#forgetClose()
    this.#waits.remove(this)
    if (this.#waits.isEmpty && this.#all.get(this.#name) === this.#waits) this.#all.delete(this.#name)
  }
}

/** The parked gets of a key. */
export function waitsOf({ slot, bucket, key }: At): KeyWaits | undefined {
  const { waits } = slot
  return waits === null || waits.size === 0 ? undefined : waits.get(waitKey(bucket, key))
}

/** Fails all parked gets of a slot that is no longer served. `reason` is called only if there are any. */
export function failWaits(slot: Slot, steps: StepBudget, reason: () => MayflyError): void {
  const { waits: all } = slot
  if (all === null) return
  slot.waits = null
  if (all.size === 0) return
  const error = reason()
  for (const waits of [...all.values()]) waits.fail(error, steps)
}

/** Fails parked gets in deleted buckets: a new bucket may reuse the name. */
export function failWaitsIn(
  { waits: all }: Slot,
  steps: StepBudget,
  isDeleted: (bucket: number) => boolean,
): void {
  if (all === null || all.size === 0) return
  for (const [name, waits] of [...all]) {
    if (!isDeleted(Number(name.slice(0, name.indexOf('/'))))) continue
    all.delete(name)
    waits.fail(new MayflyError('BUCKET_NOT_FOUND', 'The bucket was deleted'), steps)
  }
}

function waitKey(bucket: number, key: Uint8Array): string {
  return `${bucket}/${keyString(key)}`
}
