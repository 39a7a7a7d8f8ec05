import { describe, expect, test } from 'vitest'
import {
  INTERVALS_MIN,
  Intervals,
  KEEP_ALIVE_MINUTES,
  type WarmWindow,
} from '../../../controller/sizing/warm-window.ts'
import { SeededRandom } from '../../simulation/world/random.ts'
import { seed } from '../support/seed.ts'

interface Outcome {
  readonly cold: number
  /** Minutes in which a node was ready and no job was registered. */
  readonly idleMinutes: number
}

/** Replays intervals between registrations; the policy learns each interval afterwards. */
function play(
  intervals: readonly number[],
  window: () => WarmWindow,
  seen: (minutes: number) => void = () => undefined,
): Outcome {
  let [cold, idleMinutes] = [0, 0]
  for (const minutes of intervals) {
    const { fromMinutes, untilMinutes } = window()
    if (minutes < fromMinutes || minutes > untilMinutes) cold++
    idleMinutes += Math.max(0, Math.min(minutes, untilMinutes) - fromMinutes)
    seen(minutes)
  }
  return { cold, idleMinutes }
}

function playHybrid(intervals: readonly number[]): Outcome {
  const known = new Intervals()
  return play(
    intervals,
    () => known.window(),
    (minutes) => known.add(minutes),
  )
}

/** The fixed keep-alive with the same number of idle node-minutes, for a fair comparison. */
function playFixed(intervals: readonly number[], idleMinutes: number): Outcome {
  let [low, high] = [0, 10_000]
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    const run = play(intervals, () => ({ fromMinutes: 0, untilMinutes: middle }))
    if (run.idleMinutes < idleMinutes) low = middle
    else high = middle
  }
  return play(intervals, () => ({ fromMinutes: 0, untilMinutes: high }))
}

const random = new SeededRandom(`${seed}`)
const normal = (): number =>
  Math.sqrt(-2 * Math.log(1 - random.fraction())) * Math.cos(2 * Math.PI * random.fraction())
const trace = (count: number, interval: (index: number) => number): number[] =>
  Array.from({ length: count }, (_, index) => interval(index))

describe('nodes that are kept ready for a job name', () => {
  test('that comes every half an hour: fewer cold registrations than with a fixed keep-alive, at equal idle minutes', () => {
    const intervals = trace(500, () => 30 + normal())
    const hybrid = playHybrid(intervals)
    const fixed = playFixed(intervals, hybrid.idleMinutes)
    console.info('regular', hybrid, fixed)
    expect(hybrid.cold).toBeLessThan(25)
    expect(fixed.cold).toBeGreaterThan(450)
  })

  test('that comes irregularly, 20 to 90 minutes apart with days that are left out: the same', () => {
    const intervals = trace(500, (index) => (index % 25 === 24 ? 600 : 45 * Math.exp(normal() * 0.35)))
    const hybrid = playHybrid(intervals)
    const fixed = playFixed(intervals, hybrid.idleMinutes)
    console.info('irregular', hybrid, fixed)
    expect(hybrid.cold).toBeLessThan(fixed.cold * 0.5)
  })

  test('that comes without a pattern, or in bursts: a plain keep-alive, which is as good as any', () => {
    for (const interval of [() => -40 * Math.log(1 - random.fraction()), () => 10 * Math.exp(normal() * 2)]) {
      const known = new Intervals()
      for (const minutes of trace(500, interval)) known.add(minutes)
      expect(known.window()).toEqual({ fromMinutes: 0, untilMinutes: KEEP_ALIVE_MINUTES })
    }
  })

  test('are ready from the 5th percentile less a tenth to the 99th plus a tenth', () => {
    const known = new Intervals()
    for (let minutes = 100; minutes < 200; minutes++) known.add(minutes + 0.5)
    expect(known.window()).toEqual({ fromMinutes: 104 * 0.9, untilMinutes: (198 + 1) * 1.1 })
  })

  test('are kept for ten minutes where there are too few intervals, or most are beyond four hours', () => {
    const few = new Intervals()
    for (let count = 1; count < INTERVALS_MIN; count++) few.add(30)
    expect(few.window().untilMinutes).toBe(KEEP_ALIVE_MINUTES)
    few.add(30)
    expect(few.window().fromMinutes).toBe(27)
    const far = new Intervals()
    for (const minutes of [30, 30, 241, 300, 1_000]) far.add(minutes)
    expect(far.window().untilMinutes).toBe(KEEP_ALIVE_MINUTES)
  })
})
