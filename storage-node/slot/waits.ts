import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Waiter } from '../../service/server/peer.ts'
import { WAIT_BYTES } from '../budget/limits.ts'
import type { UnderWay } from '../budget/under-way.ts'
import { keyString } from './key-string.ts'
import type { Slot } from './slot.ts'
import type { Wait } from './wait.ts'

interface At {
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
  const all = slot.waits ?? new Map<string, Wait[]>()
  const waits = all.get(name) ?? []
  return new Promise((resolve, reject) => {
    const release = options.underWay.park(WAIT_BYTES + key.length)
    slot.waits = all.set(name, waits)
    const leave = (): void => {
      release()
      timer.cancel()
      forgetClose()
      const index = waits.indexOf(wait)
      if (index >= 0) waits.splice(index, 1)
      if (waits.length === 0 && all.get(name) === waits) all.delete(name)
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
    const timer = options.clock.after(options.waitMs, () => wait.fail(outcome.missed()))
    const { peer, id } = options.waiter
    const forgetClose = peer.whenGone(id, (reason) => wait.fail(reason))
    waits.push(wait)
  })
}

/** The key was put: answers parked gets in order of arrival until one consumes the object. */
export function answerWaits({ slot, bucket, key }: At): void {
  if (slot.waits === null || slot.waits.size === 0) return
  for (const wait of [...(slot.waits.get(waitKey(bucket, key)) ?? [])]) {
    if (!wait.answer()) return
  }
}

/** Fails all parked gets of a slot that is no longer served. `reason` is called only if there are any. */
export function failWaits({ waits: all }: Slot, reason: () => MayflyError): void {
  if (all === null || all.size === 0) return
  const error = reason()
  for (const waits of [...all.values()]) for (const wait of [...waits]) wait.fail(error)
}

/** Fails parked gets in deleted buckets: a new bucket may reuse the name. */
export function failWaitsIn({ waits: all }: Slot, isDeleted: (bucket: number) => boolean): void {
  if (all === null || all.size === 0) return
  for (const [name, waits] of [...all]) {
    if (!isDeleted(Number(name.slice(0, name.indexOf('/'))))) continue
    for (const wait of [...waits]) wait.fail(new MayflyError('BUCKET_NOT_FOUND', 'The bucket was deleted'))
  }
}

function waitKey(bucket: number, key: Uint8Array): string {
  return `${bucket}/${keyString(key)}`
}
