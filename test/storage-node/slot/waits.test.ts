import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import type { Waiter } from '../../../service/server/peer.ts'
import { WAITS_PER_STEP } from '../../../storage-node/budget/limits.ts'
import { StepBudget } from '../../../storage-node/budget/step-budget.ts'
import { NodeUnderWay, UnderWay } from '../../../storage-node/budget/under-way.ts'
import type { Slot } from '../../../storage-node/slot/slot.ts'
import { failWaits, park, waitsOf } from '../../../storage-node/slot/waits.ts'

const { clock } = systemRuntime
const COUNT = 5 * WAITS_PER_STEP
const waiter = { id: 1, peer: { whenGone: () => () => undefined } } as unknown as Waiter
const missed = (): MayflyError => new MayflyError('NOT_FOUND', 'missed')

function start() {
  const slot = { waits: null } as unknown as Slot
  const place = { slot, bucket: 0, key: Buffer.from('k') }
  const steps = new StepBudget(clock, WAITS_PER_STEP)
  const underWay = new UnderWay(new NodeUnderWay())
  const outcomes: string[] = []
  let attempts = 0
  const object = { there: true }
  const parkOne = (waitMs: number): void => {
    const attempt = (): string | null => {
      attempts++
      return object.there ? 'answered' : null
    }
    void park(place, { waitMs, clock, waiter, underWay }, { attempt, deliver: () => null, missed }).then(
      (answer) => outcomes.push(answer),
      (error: MayflyError) => outcomes.push(error.code),
    )
  }
  return { slot, place, steps, outcomes, object, parkOne, attempts: () => attempts }
}

const turnOver = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a put answers many parked gets of its key in steps, between which others have their turn', async () => {
  const { place, steps, outcomes, parkOne } = start()
  for (let count = 0; count < COUNT; count++) parkOne(60_000)
  waitsOf(place)?.answer(steps)
  await Promise.resolve()
  const seen: number[] = []
  while (outcomes.length < COUNT) {
    seen.push(outcomes.length)
    await turnOver()
  }
  expect(outcomes.every((outcome) => outcome === 'answered')).toBe(true)
  expect(seen.length).toBeGreaterThanOrEqual(COUNT / WAITS_PER_STEP - 1)
  const stepSizes = seen.map((count, index) => count - (seen[index - 1] ?? 0))
  expect(Math.max(...stepSizes)).toBeLessThanOrEqual(WAITS_PER_STEP)
})

test('gets that a put could not answer yet when the object was consumed stay parked until the next put', async () => {
  const { place, steps, outcomes, object, parkOne } = start()
  for (let count = 0; count < COUNT; count++) parkOne(60_000)
  waitsOf(place)?.answer(steps)
  object.there = false
  await turnOver()
  await turnOver()
  expect(outcomes.length).toBe(WAITS_PER_STEP)
  object.there = true
  waitsOf(place)?.answer(steps)
  await expect.poll(() => outcomes.length).toBe(COUNT)
})

test('gets parked in a slot that is no longer served fail in steps, and none of them is answered or missed meanwhile', async () => {
  const { slot, place, steps, outcomes, parkOne, attempts } = start()
  for (let count = 0; count < COUNT; count++) parkOne(1)
  const endMs = performance.now() + 5
  while (performance.now() < endMs);
  failWaits(slot, steps, () => new MayflyError('STALE_PLACEMENT', 'moved'))
  waitsOf(place)?.answer(steps)
  await Promise.resolve()
  expect(outcomes.length).toBeLessThanOrEqual(WAITS_PER_STEP)
  await expect.poll(() => outcomes.length).toBe(COUNT)
  expect(new Set(outcomes)).toEqual(new Set(['STALE_PLACEMENT']))
  expect(attempts()).toBe(0)
})

test('gets parked on many keys share one bound for each step', async () => {
  const { slot, steps, outcomes } = start()
  const underWay = new UnderWay(new NodeUnderWay())
  for (let count = 0; count < COUNT; count++) {
    const place = { slot, bucket: 0, key: Buffer.from(`k/${count}`) }
    void park(
      place,
      { waitMs: 60_000, clock, waiter, underWay },
      { attempt: () => null, deliver: () => null, missed },
    ).catch((error: MayflyError) => outcomes.push(error.code))
  }
  failWaits(slot, steps, () => new MayflyError('JOB_ENDED', 'ended'))
  await Promise.resolve()
  await Promise.resolve()
  expect(outcomes.length).toBe(WAITS_PER_STEP)
  await expect.poll(() => outcomes.length).toBe(COUNT)
})
