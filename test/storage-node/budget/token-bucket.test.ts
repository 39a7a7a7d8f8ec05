import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CONTENTION_MS } from '../../../protocol/limits.ts'
import { JobTokenBucket, TokenBuckets } from '../../../storage-node/budget/token-bucket.ts'
import { CPU_RESERVABLE_SHARE, REQUEST_COST_BYTES } from '../../../storage-node/limits.ts'

const MB = 1_000_000
const CAPACITY = 100 * MB
const PIECE = 64 * 1024

interface Player {
  /** Bytes per second. */
  readonly reserved: number
  /** Bytes per second without a limit. */
  readonly wants: number
  readonly piece?: number
}

/** Simulates players that transfer pieces whenever they may, for some seconds of virtual time. Returns each one's bytes per second. */
function play(players: readonly Player[], { seconds = 4, capacity = CAPACITY } = {}): number[] {
  const rates = new TokenBuckets(capacity, 0)
  const all = players.map((player) => {
    const rate = new JobTokenBucket(0)
    rate.reserve(player.reserved)
    return { ...player, rate, moved: 0 }
  })
  for (let nowMs = 0; nowMs < seconds * 1000; nowMs++) {
    for (const player of all) {
      const { piece = PIECE } = player
      // The loop has a turn for each player in each millisecond; in one turn a flooding player transfers only a little more than the others.
      for (let turn = 0; turn < 50 && player.moved < (player.wants * nowMs) / 1000; turn++) {
        if (rates.waitMs(player.rate, nowMs) > 0) break
        rates.spend(player.rate, rates.costOf(0, piece, 0), nowMs)
        player.moved += piece
      }
    }
  }
  return all.map(({ moved }) => moved / seconds)
}

describe('the throughput of a node', () => {
  test('is all for a job that is alone, whatever it reserved', () => {
    const [alone] = play([{ reserved: 1, wants: 300 * MB }])
    expect(alone).toBeGreaterThan(290 * MB)
  })

  test('is for the most part guaranteed to who reserved it, while another floods', () => {
    const [reserved, flooder] = play([
      { reserved: CAPACITY / 2, wants: CAPACITY / 2 },
      { reserved: 1, wants: 1_000 * MB },
    ])
    expect(reserved).toBeGreaterThan(0.99 * (CAPACITY / 2))
    expect(flooder).toBeGreaterThan(0.4 * CAPACITY)
    expect(flooder).toBeLessThan(0.6 * CAPACITY)
  })

  test('that is reserved and not used goes to who wants it', () => {
    const [idle, flooder] = play([
      { reserved: 0.9 * CAPACITY, wants: 0.1 * CAPACITY },
      { reserved: 0.1 * CAPACITY, wants: 1_000 * MB },
    ])
    expect(idle).toBeGreaterThan(0.098 * CAPACITY)
    expect(flooder).toBeGreaterThan(0.85 * CAPACITY)
  })

  test('is no more for many who flood than for one', () => {
    const flood = Array.from({ length: 20 }, () => ({ reserved: 0, wants: 1_000 * MB }))
    const [reserved] = play(
      [...flood.slice(10), { reserved: 0.7 * CAPACITY, wants: 1_000 * MB }, ...flood]
        .reverse()
        .sort((a, b) => b.reserved - a.reserved),
    )
    expect(reserved).toBeGreaterThan(0.69 * CAPACITY)
  })

  test('counts small requests by what they cost', () => {
    const rates = new TokenBuckets(CAPACITY, 0)
    const [job, other] = [new JobTokenBucket(0), new JobTokenBucket(0)]
    rates.spend(other, rates.costOf(1, 0, 0), 0)
    rates.spend(job, rates.costOf(1_000, 0, 0), 10)
    const waitMs = rates.waitMs(job, 10)
    expect(waitMs).toBeCloseTo((1_001 * REQUEST_COST_BYTES * 1000) / CAPACITY - 10, 0)
  })

  test('counts the time of the event loop, where that is the scarcest', () => {
    const rates = new TokenBuckets(CAPACITY, 0)
    // 8 ms of a second of which jobs may have 0.8 are a hundredth of the node, whatever else was moved.
    expect(CPU_RESERVABLE_SHARE).toBe(0.8)
    expect(rates.costOf(1, 100, 8)).toBeCloseTo(MB)
    expect(rates.costOf(1_000, 0, 800)).toBeCloseTo(CAPACITY)
    // Less time than bytes or requests stand for costs nothing more.
    expect(rates.costOf(0, 2 * MB, 8)).toBe(2 * MB)
    expect(rates.costOf(1_000, 0, 0.001)).toBe(1_000 * REQUEST_COST_BYTES)

    const [job, other] = [new JobTokenBucket(0), new JobTokenBucket(0)]
    rates.spend(other, rates.costOf(1, 0, 0), 0)
    rates.spend(job, rates.costOf(1, 0, 80), 0)
    expect(rates.waitMs(job, 0)).toBeCloseTo(100, 0)
  })

  test('is lent without a debt: who used what was idle has its own at once when others come back', () => {
    const rates = new TokenBuckets(CAPACITY, 0)
    const [job, other] = [new JobTokenBucket(0), new JobTokenBucket(0)]
    job.reserve(CAPACITY / 2)
    for (let nowMs = 0; nowMs < 1_000; nowMs++) rates.spend(job, rates.costOf(0, CAPACITY / 1_000, 0), nowMs)
    expect(rates.waitMs(job, 1_000)).toBe(0)
    rates.spend(other, rates.costOf(0, CAPACITY, 0), 1_000)
    expect(rates.waitMs(job, 1_002)).toBe(0)
    expect(rates.waitMs(other, 1_002)).toBeGreaterThan(0)
  })

  test('is held up by nobody who has gone', () => {
    const rates = new TokenBuckets(CAPACITY, 0)
    const [job, other] = [new JobTokenBucket(0), new JobTokenBucket(0)]
    rates.spend(other, rates.costOf(0, 1, 0), 0)
    rates.spend(job, rates.costOf(0, 2 * CAPACITY, 0), 1)
    expect(rates.waitMs(job, 1)).toBeGreaterThan(0)
    expect(rates.waitMs(job, 2 + CONTENTION_MS)).toBe(0)
  })

  test('gives each what it reserved, whoever else there is and whatever they want', () => {
    const player = fc.record({
      part: fc.double({ min: 0.05, max: 1, noNaN: true }),
      floods: fc.boolean(),
      piece: fc.integer({ min: 1_000, max: 256 * 1024 }),
    })
    fc.assert(
      fc.property(fc.array(player, { minLength: 2, maxLength: 5 }), (drawn) => {
        const total = drawn.reduce((sum, { part }) => sum + part, 0)
        const players = drawn.map(({ part, floods, piece }) => {
          const reserved = (CAPACITY * part) / Math.max(1, total)
          return { reserved, piece, wants: floods ? 10 * CAPACITY : reserved }
        })
        const got = play(players, { seconds: 2 })
        players.forEach(({ reserved, piece }, index) => {
          // A job whose pieces are small cannot request more than the turns of the loop allow.
          const reachable = Math.min(reserved, piece * 50 * 1_000)
          expect(got[index]).toBeGreaterThan(0.95 * reachable - piece)
        })
      }),
      { numRuns: 60 },
    )
  })
})
