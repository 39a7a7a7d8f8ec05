import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Waiter } from '../../service/server/peer.ts'
import { WAIT_BYTES } from '../budget/limits.ts'
import type { StepBudget } from '../budget/step-budget.ts'
import type { UnderWay } from '../budget/under-way.ts'
import { keyString } from './key-string.ts'
import { KeyWaits, type Wait } from './key-waits.ts'
import type { Slot } from './slot.ts'

export interface At {
  readonly slot: Slot
  readonly bucket: number
  readonly key: Uint8Array
}

/**
 * Parks a get. `attempt` runs at every put of the key and returns the answer, or null if another consumer
 * took the object; `missed` returns the error at the timeout. Rejects with `ABORTED` or `CONNECTION_LOST`
 * when the client has given up, and with `UNAVAILABLE` if too much of the job is parked.
 */
export function park<Result>(
  place: At,
  options: { waitMs: number; clock: Clock; waiter: Waiter; underWay: UnderWay },
  outcome: { attempt: () => Result | Promise<Result> | null; missed: () => MayflyError },
): Promise<Result> {
  const { slot, bucket, key } = place
  const name = waitKey(bucket, key)
  const all = slot.waits ?? new Map<string, KeyWaits>()
  const waits = all.get(name) ?? new KeyWaits()
  return new Promise((resolve, reject) => {
    const release = options.underWay.park(WAIT_BYTES + key.length)
    slot.waits = all.set(name, waits)
    const leave = (): void => {
      release()
      timer.cancel()
      forgetClose()
      if (!waits.remove(wait) && all.get(name) === waits) all.delete(name)
    }
    const wait: Wait = {
      answer: () => {
        try {
          const result = outcome.attempt()
          if (result === null) return false
          leave()
          resolve(result)
        } catch (error) {
          leave()
          reject(error)
        }
        return true
      },
      fail: (error) => {
        leave()
        reject(error)
      },
    }
    const timer = options.clock.after(options.waitMs, () => wait.fail(waits.failure ?? outcome.missed()))
    const { peer, id } = options.waiter
    const forgetClose = peer.whenGone(id, (reason) => wait.fail(reason))
    waits.add(wait)
  })
}

/** The key was put: answers its parked gets. */
export function answerWaits(at: At, steps: StepBudget): void {
  const { waits } = at.slot
  if (waits === null || waits.size === 0) return
  waits.get(waitKey(at.bucket, at.key))?.answer(steps)
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
