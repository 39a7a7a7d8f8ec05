import { describe, expect, test } from 'vitest'
import type { CapacityRequest } from '../../../protocol/operations/reports.ts'
import { CapacityRequests } from '../../../storage-node/tiering/capacity-requests.ts'
import { CAPACITY_ASK_MS, CAPACITY_LIMITED_MS } from '../../../storage-node/tiers/limits.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'
import { newBackground } from '../../fixture/background.ts'
import { newSpace } from '../support/space.ts'

function world() {
  const clock = new VirtualClock()
  const background = newBackground(clock)
  const asked: CapacityRequest[] = []
  let limited: string[] | null = []
  const capacity = new CapacityRequests({
    background,
    clock,
    ask: async (request) => {
      asked.push(request)
      if (limited === null) throw new Error('nobody listens')
      return { limited }
    },
    bytesOf: () => ({ ram: 1 }),
  })
  const answer = (next: string[] | null): void => {
    limited = next
  }
  const failing = (): number => background.report().reduce((sum, task) => sum + task.failing, 0)
  return { clock, capacity, asked, answer, failing, job: newSpace() }
}

describe('a put that finds no room', () => {
  test('is asked for until the budget changes, and then tried again', async () => {
    const { clock, capacity, asked, job } = world()
    const told = capacity.wait(job, 100).told
    await clock.advance(3 * CAPACITY_ASK_MS)
    expect(asked.length).toBeGreaterThanOrEqual(3)
    expect(asked[0]?.jobs).toEqual([{ id: 'j', bytes: { ram: 1 }, waitingBytes: 100 }])
    capacity.changed(job)
    expect(await told).toBe(true)
    await clock.advance(10 * CAPACITY_ASK_MS)
    const { length } = asked
    await clock.advance(10 * CAPACITY_ASK_MS)
    expect(asked).toHaveLength(length)
  })

  test('is told that the job gets no more, and the next ones without a question for a while', async () => {
    const { clock, capacity, asked, answer, job } = world()
    answer(['j'])
    const told = capacity.wait(job, 100).told
    await clock.advance(CAPACITY_ASK_MS)
    expect(await told).toBe(false)
    expect(await capacity.wait(job, 100).told).toBe(false)
    expect(asked).toHaveLength(1)
    await clock.advance(CAPACITY_LIMITED_MS)
    answer([])
    const later = capacity.wait(job, 100).told
    await clock.advance(CAPACITY_ASK_MS)
    expect(asked.length).toBeGreaterThan(1)
    capacity.changed(job)
    expect(await later).toBe(true)
  })

  test('is asked for no more once it waits no more', async () => {
    const { clock, capacity, asked, job } = world()
    const given = capacity.wait(job, 100)
    await clock.advance(3 * CAPACITY_ASK_MS)
    given.leave()
    given.leave()
    await clock.advance(CAPACITY_ASK_MS)
    const { length } = asked
    await clock.advance(10 * CAPACITY_ASK_MS)
    expect(asked).toHaveLength(length)
    const next = capacity.wait(job, 7)
    await clock.advance(CAPACITY_ASK_MS)
    expect(asked.at(-1)?.jobs).toEqual([{ id: 'j', bytes: { ram: 1 }, waitingBytes: 7 }])
    next.leave()
  })

  test('goes on waiting while the controller does not answer', async () => {
    const { clock, capacity, asked, answer, job } = world()
    answer(null)
    const told = capacity.wait(job, 100).told
    await clock.advance(5 * CAPACITY_ASK_MS)
    expect(asked.length).toBeGreaterThan(3)
    answer(['j'])
    await clock.advance(2 * CAPACITY_ASK_MS)
    expect(await told).toBe(false)
  })
})

test('what fills up is asked for once, before it is full', async () => {
  const { clock, capacity, asked, job } = world()
  capacity.want(job)
  capacity.want(job)
  await clock.advance(10 * CAPACITY_ASK_MS)
  expect(asked).toEqual([{ jobs: [{ id: 'j', bytes: { ram: 1 }, waitingBytes: 0 }] }])
})

test('a question that failed last is not failing any more once nobody asks', async () => {
  const { clock, capacity, answer, failing, job } = world()
  answer(null)
  const given = capacity.wait(job, 100)
  await clock.advance(2 * CAPACITY_ASK_MS)
  expect(failing()).toBe(1)
  given.leave()
  await clock.advance(3 * CAPACITY_ASK_MS)
  expect(failing()).toBe(0)
})
