import { expect, test } from 'vitest'
import { Lanes } from '../../client/routing/lanes.ts'
import { LANES_MAX, SETTLE_AFTER_MS } from '../../protocol/limits.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'
import { open, Planes } from '../fixture/planes.ts'

/** A connection that records the requests. */
function noting() {
  const asked: unknown[] = []
  const call = (_: unknown, request: unknown) => {
    asked.push(request)
    return Promise.resolve()
  }
  return { asked, caller: { closed: false, call } as unknown as Caller }
}

test('a mutation that waits for minutes holds none of the others back, however many they are', async () => {
  const planes = await Planes.start()
  const job = await open(await planes.createJob('j-1', [await planes.startNode()]))
  const parked = job.get('late', { consume: true, waitSeconds: 30 })
  const missed = Promise.allSettled(
    [0.01, 0.02, 0.03].map((waitSeconds) => job.get('never', { consume: true, waitSeconds })),
  )
  const putsEach = 280
  const putInTurn = async (_: unknown, worker: number) => {
    for (let i = 0; i < putsEach; i++) await job.put(`k-${worker}`, 'x')
  }
  const workers = Array.from({ length: 256 }, putInTurn)
  expect(workers.length * putsEach).toBeGreaterThan(70_000)
  await Promise.all(workers)
  expect((await missed).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  await job.put('late', 'here')
  expect((await parked).toString()).toBe('here')
})

test('each mutation under way has a lane to itself, and the last lane that became free is taken first', () => {
  const sequencer = new Lanes(new VirtualClock())
  const lanes = [sequencer.begin(), sequencer.begin(), sequencer.begin()]
  expect(lanes).toEqual([0, 1, 2])
  sequencer.end(0, null)
  sequencer.end(2, null)
  expect(sequencer.begin()).toBe(2)
  expect(sequencer.begin()).toBe(0)
  expect(sequencer.begin()).toBe(3)
  expect([0, 1, 2, 3].map((lane) => sequencer.sequenceOf(lane))).toEqual([2, 1, 2, 1])
})

test('I22: what clients with one memory begin later has another sequence in each of them', async () => {
  const clocks = [new VirtualClock(), new VirtualClock()]
  const [one, other] = clocks.map((clock) => new Lanes(clock)) as [Lanes, Lanes]
  const before = [one, other].map((lanes) => lanes.sequenceOf(lanes.begin()))
  expect(before[0]).toBe(before[1])
  for (const lanes of [one, other]) lanes.end(0, null)
  await clocks[0]?.advance(7)
  await clocks[1]?.advance(9)
  expect([one, other].map((lanes) => lanes.sequenceOf(lanes.begin()))).toEqual([7_000, 9_000])
})

test('one mutation too many under way at a node is refused, and the next one after an answer is not', () => {
  const sequencer = new Lanes(new VirtualClock())
  for (let i = 0; i < LANES_MAX; i++) sequencer.begin()
  expect(() => sequencer.begin()).toThrow(expect.objectContaining({ code: 'TOO_MANY_REQUESTS' }))
  sequencer.end(4711, null)
  expect(sequencer.begin()).toBe(4711)
})

test('a node hears of the answers that it need not keep, once, but for lanes that were taken again', async () => {
  const clock = new VirtualClock()
  const sequencer = new Lanes(clock)
  const { asked, caller } = noting()
  for (let i = 0; i < 3; i++) sequencer.begin()
  for (const lane of [0, 1, 2]) sequencer.end(lane, caller)
  expect(sequencer.begin()).toBe(2)
  await clock.advance(SETTLE_AFTER_MS + 1)
  const lanes = [
    { lane: 0, sequence: 1 },
    { lane: 1, sequence: 1 },
  ]
  expect(asked).toEqual([{ lanes }])
  await clock.advance(10 * SETTLE_AFTER_MS)
  expect(asked).toHaveLength(1)
})
