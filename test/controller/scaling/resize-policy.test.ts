import { describe, expect, test } from 'vitest'
import {
  decideResize,
  type JobLoad,
  newJob,
  type Resized,
  stepsUp,
} from '../../../controller/scaling/resize-policy.ts'
import type { Demand, Sizing } from '../../../controller/sizing/rightsizing.ts'
import { higherPeak, noPeak } from '../../../controller/sizing/run-stats.ts'

const MIB = 1024 * 1024
const base: Demand = {
  latencyClass: 'ram',
  ramBytes: 100 * MIB,
  ssdBytes: 0,
  s3Bytes: 0,
  bytesPerSecond: 1_000_000,
  s3PricePerHour: 0,
  readsPerObject: null,
}
const guess = { ground: 'default', because: 'no hint' } as const
const reasons: Sizing['reasons'] = { latencyClass: guess, bytes: guess, bytesPerSecond: guess, mixes: [] }

/** The sizes of a job that has this usage, second by second. */
function follow(
  uses: readonly { mib: number; rate: number }[],
  given: Partial<JobLoad> = {},
): { job: Resized; changes: number } {
  let memory = newJob
  let job: Resized = { demand: base, reasons }
  let changes = 0
  let peak = noPeak
  for (const { mib, rate } of uses) {
    const use = { bytes: mib * MIB, bytesPerSecond: rate }
    peak = higherPeak(use, peak)
    const load = {
      hints: {},
      ...job,
      reserved: job.demand,
      use,
      peak,
      bytesPerSecondMax: () => 1e9,
      ...given,
    }
    const { memory: next, resized } = decideResize(memory, load)
    memory = next
    if (resized === null) continue
    job = resized
    changes++
  }
  return { job, changes }
}

const seconds = (count: number, use: { mib: number; rate: number }) =>
  Array.from({ length: count }, () => use)

describe('a job', () => {
  test('that fills what it reserved grows by a third or more, in the second in which that is seen', () => {
    const { job, changes } = follow([{ mib: 81, rate: 10 }])
    expect([changes, job.demand.ramBytes / MIB]).toEqual([1, 135])
    expect(job.demand.bytesPerSecond).toBe(base.bytesPerSecond)
    expect(job.reasons.bytes).toMatchObject({
      ground: 'use',
      because: expect.stringContaining('of 104857600 bytes'),
    })
    expect(job.reasons.bytesPerSecond).toBe(guess)
  })

  test('that grows by a quarter each second is always ahead of what it uses', () => {
    const uses = Array.from({ length: 30 }, (_, second) => ({ mib: 75 * 1.25 ** second, rate: 0 }))
    for (let second = 1; second <= uses.length; second++) {
      const { job } = follow(uses.slice(0, second))
      expect(job.demand.ramBytes / MIB).toBeGreaterThan((uses[second - 1]?.mib ?? 0) * 1.25)
    }
  })

  test('of which earlier runs told how much grows only once it uses nearly all of that', () => {
    const known = { ground: 'history', because: 'percentile 95' } as const
    const learned = { reasons: { ...reasons, bytes: known, bytesPerSecond: known } }
    expect(follow(seconds(9, { mib: 90, rate: 900_000 }), learned).changes).toBe(0)
    expect(follow(seconds(1, { mib: 96, rate: 0 }), learned).changes).toBe(1)
  })

  test('never passes what was hinted', () => {
    const hints = { capacityBytes: 90 * MIB, peakBytesPerSecond: 1_000_000 }
    expect(follow(seconds(60, { mib: 99, rate: 5e6 }), { hints }).changes).toBe(0)
  })

  test('is reserved more throughput after three seconds, as far as its nodes have it', () => {
    expect(follow(seconds(2, { mib: 1, rate: 900_000 })).changes).toBe(0)
    expect(follow(seconds(3, { mib: 1, rate: 900_000 })).job.demand.bytesPerSecond).toBe(1_500_000)
    const bounded = follow(seconds(3, { mib: 1, rate: 900_000 }), { bytesPerSecondMax: () => 1_200_000 })
    expect(bounded.job.demand.bytesPerSecond).toBe(1_200_000)
    expect(
      follow(seconds(9, { mib: 1, rate: 900_000 }), { bytesPerSecondMax: () => 1_000_000 }).changes,
    ).toBe(0)
  })

  test('of which earlier runs told its throughput borrows what it needs a little more', () => {
    const known = { ground: 'history', because: 'percentile 50' } as const
    const learned = { reasons: { ...reasons, bytesPerSecond: known } }
    expect(follow(seconds(60, { mib: 1, rate: 1_200_000 }), learned).changes).toBe(0)
    expect(follow(seconds(3, { mib: 1, rate: 1_300_000 }), learned).job.demand.bytesPerSecond).toBe(2_166_667)
  })

  test('gives back bytes after twenty seconds below 40 %, down to what makes its use 60 %', () => {
    const peak = seconds(1, { mib: 300, rate: 0 })
    expect(follow([...peak, ...seconds(19, { mib: 90, rate: 0 })]).job.demand.ramBytes).toBe(500 * MIB)
    const back = follow([...peak, ...seconds(20, { mib: 90, rate: 0 })])
    expect([back.changes, back.job.demand.ramBytes]).toEqual([2, 150 * MIB])
  })

  test('gives back throughput after five seconds, and keeps a twentieth of its peak', () => {
    const busy = { mib: 1, rate: 700_000 }
    expect(follow([busy, ...seconds(4, { mib: 1, rate: 0 })]).changes).toBe(0)
    const back = follow([busy, ...seconds(5, { mib: 1, rate: 0 })])
    expect(back.job.demand).toMatchObject({ bytesPerSecond: 35_000, ramBytes: base.ramBytes })
  })

  test('keeps what was set aside for it until it has come near its peak', () => {
    expect(follow(seconds(600, { mib: 1, rate: 500_000 })).changes).toBe(0)
    expect(follow([...seconds(1, { mib: 50, rate: 0 }), ...seconds(600, { mib: 1, rate: 0 })]).changes).toBe(
      0,
    )
  })

  test('never gives back what was hinted', () => {
    const hints = { capacityBytes: 90 * MIB, peakBytesPerSecond: 1_000_000 }
    const uses = [...seconds(1, { mib: 89, rate: 1_000_000 }), ...seconds(600, { mib: 0, rate: 0 })]
    expect(follow(uses, { hints }).changes).toBe(0)
  })

  test('whose use goes up and down within twenty seconds changes once', () => {
    const wave = Array.from({ length: 600 }, (_, second) => ({ mib: second % 20 < 10 ? 300 : 10, rate: 0 }))
    expect(follow(wave).changes).toBe(1)
  })
})

describe('a job that fills up between two rounds', () => {
  const now = (mib: number, given: Partial<JobLoad> = {}): JobLoad => ({
    hints: {},
    demand: base,
    reasons,
    reserved: base,
    use: { bytes: mib * MIB, bytesPerSecond: 0 },
    peak: noPeak,
    bytesPerSecondMax: () => 1e9,
    ...given,
  })
  const s3PriceOf = ({ s3Bytes }: Demand): number => s3Bytes / MIB
  const ramOnly = { below: [], s3PriceOf }
  const toSsd = { below: ['ssd'] as const, s3PriceOf }
  const mibOf = (steps: readonly Resized[]) =>
    steps.map(({ demand }) => [Math.round(demand.ramBytes / MIB), Math.round(demand.ssdBytes / MIB)])

  test('grows by a third while no put waits', () => {
    expect(mibOf(stepsUp(now(81), { waitingBytes: 0, ...ramOnly }))).toEqual([[135, 0]])
    expect(stepsUp(now(79), { waitingBytes: 0, ...ramOnly })).toEqual([])
  })

  test('grows to twice what it has where puts wait, else as far as there is room, and then on SSD', () => {
    expect(mibOf(stepsUp(now(95), { waitingBytes: 8 * MIB, ...toSsd }))).toEqual([
      [200, 0],
      [172, 0],
      [106, 0],
      [100, 100],
      [100, 72],
      [100, 6],
    ])
  })

  test('grows on S3 where neither RAM nor SSD has room, at the price of S3', () => {
    const steps = stepsUp(now(95), { waitingBytes: 8 * MIB, below: ['ssd', 's3'], s3PriceOf })
    expect(mibOf(steps.slice(6))).toEqual([
      [100, 0],
      [100, 0],
      [100, 0],
    ])
    const added = steps
      .slice(6)
      .map(({ demand }) => [Math.round(demand.s3Bytes / MIB), demand.s3PricePerHour])
    expect(added).toEqual([
      [100, 100],
      [72, expect.closeTo(72, 0)],
      [6, expect.closeTo(6, 0)],
    ])
  })

  test('does not grow while the puts wait for slots to leave a full node, or past a hint', () => {
    expect(stepsUp(now(50), { waitingBytes: 8 * MIB, ...toSsd })).toEqual([])
    const hinted = now(99, { hints: { capacityBytes: 94 * MIB } })
    expect(stepsUp(hinted, { waitingBytes: 8 * MIB, ...toSsd })).toEqual([])
  })
})
