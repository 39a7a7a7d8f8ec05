import { expect, test } from 'vitest'
import { CONTENTION_MS, TURNS_ALONE_MS, TURNS_SHARED_MS } from '../../protocol/limits.ts'
import { Turns } from '../../service/server/turns.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'

/** An event loop whose polls are made by the test: all callbacks that were scheduled for after the poll run then. */
function loop() {
  let planned: (() => void)[] = []
  const clock = Object.assign(new VirtualClock(), { soon: (task: () => void) => void planned.push(task) })
  const turns = new Turns(clock)
  const look = (): boolean => {
    const tasks = planned
    planned = []
    for (const task of tasks) task()
    return tasks.length > 0
  }
  /** Time that the job gets in one turn; null if it has none left in this round. */
  const work = (job: string, ms: number): boolean => {
    const may = turns.begin(job)
    if (may) clock.jump(ms)
    turns.end()
    return may
  }
  return { clock, turns, look, work }
}

test('a job that has connections without end takes one quantum between two turns of another', () => {
  const { turns, look, work } = loop()
  // Four steps use up the quantum, in binary fractions too.
  const stepMs = TURNS_SHARED_MS / 4 + 1e-6
  let steps = 0
  const flood = (): void => {
    if (work('flood', stepMs)) steps++
    else turns.wait('flood', flood)
  }
  work('bystander', 2 ** -7)
  for (let connection = 0; connection < 100; connection++) flood()
  expect(steps).toBe(4)
  for (let round = 1; round <= 10; round++) {
    expect(work('bystander', 2 ** -7)).toBe(true)
    expect(look()).toBe(true)
    expect(steps).toBe(4 * (round + 1))
  }
})

test('what waits is worked off to its end, whoever is there', () => {
  const { turns, look, work } = loop()
  let done = 0
  const flood = (): void => {
    if (work('flood', 0.75 * TURNS_SHARED_MS)) done++
    else turns.wait('flood', flood)
  }
  work('bystander', 2 ** -7)
  for (let connection = 0; connection < 50; connection++) flood()
  while (look()) expect(done).toBeLessThanOrEqual(50)
  expect(done).toBe(50)
})

test('a turn that took too long is paid by waiting, and the loop never idles meanwhile', () => {
  const { turns, look, work } = loop()
  work('bystander', 2 ** -7)
  expect(work('flood', 10 * TURNS_SHARED_MS)).toBe(true)
  expect(work('flood', 1)).toBe(false)
  let resumed = false
  turns.wait('flood', () => {
    resumed = true
  })
  let rounds = 0
  while (!resumed) {
    expect(look()).toBe(true)
    rounds++
  }
  expect(rounds).toBe(10)
})

test('a job that is alone is not held by a quantum of others, but looks at the network in between', () => {
  const { clock, look, work } = loop()
  clock.jump(CONTENTION_MS + 1)
  let ms = 0
  while (work('alone', 0.1)) ms += 0.1
  expect(ms).toBeCloseTo(TURNS_ALONE_MS, 5)
  expect(look()).toBe(true)
  expect(work('alone', 0.1)).toBe(true)
})

test('the planes wait for nobody, and their turns are no part of a round', () => {
  const { work } = loop()
  work('bystander', 2 ** -7)
  for (let turn = 0; turn < 100; turn++) expect(work('', TURNS_SHARED_MS)).toBe(true)
})

test('what nobody waits for is forgotten', () => {
  const { turns, look, work } = loop()
  for (let job = 0; job < 1_000; job++) work(`job-${job}`, 1)
  while (look());
  expect(turns.jobs).toBe(0)
})

test('long work of a job takes turns of its quantum, a step at a time, beside another job', async () => {
  const { clock, turns, look, work } = loop()
  let steps = 0
  function* listing(): Generator<void, string> {
    for (; steps < 20; steps++) {
      clock.jump(TURNS_SHARED_MS / 4)
      yield
    }
    return 'listed'
  }
  const listings = Array.from({ length: 3 }, () => turns.run('flood', listing()))
  while (steps < 20) {
    const before = steps
    expect(work('bystander', 2 ** -7)).toBe(true)
    expect(look()).toBe(true)
    expect(steps - before).toBeLessThanOrEqual(5)
  }
  while (look());
  expect(await Promise.all(listings)).toEqual(['listed', 'listed', 'listed'])
})

test('work that throws rejects, and its job goes on', async () => {
  const { turns, look, work } = loop()
  const failing = turns.run('job', {
    next: () => {
      throw new Error('it broke')
    },
  })
  expect(look()).toBe(true)
  await expect(failing).rejects.toThrow('it broke')
  expect(work('job', 1)).toBe(true)
})
