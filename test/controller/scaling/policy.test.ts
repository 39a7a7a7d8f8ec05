import { describe, expect, test } from 'vitest'
import {
  BELOW_ROUNDS,
  type ClassLoad,
  decide,
  type Load,
  noLoad,
  noMemory,
} from '../../../controller/scaling/policy.ts'
import { SeededRandom } from '../../simulation/world/random.ts'
import { seed } from '../support/seed.ts'

interface Run {
  readonly added: number[]
  readonly removed: number[]
  /** Number of nodes after each second. */
  readonly nodes: readonly number[]
  readonly loads: readonly number[]
}

/** A class whose load, in nodes, is spread evenly; nodes start and stop at once. */
function follow(
  seconds: number,
  loadAt: (second: number) => number,
  { nodes = 1, nodesMax = 100 } = {},
): Run {
  const run = { added: [] as number[], removed: [] as number[], nodes: [] as number[], loads: [] as number[] }
  let memory = noMemory
  for (let second = 0; second < seconds; second++) {
    const network = loadAt(second) / nodes
    const loads = Array.from({ length: nodes }, (): Load => ({ ...noLoad, network }))
    const seen: ClassLoad = { loads, idle: 0, room: nodesMax - nodes, unsettled: false }
    const { memory: next, decision } = decide(memory, seen)
    memory = next
    if (decision.kind === 'add') {
      nodes += decision.nodes
      run.added.push(second)
    } else if (decision.kind === 'remove') {
      nodes -= decision.nodes
      run.removed.push(second)
    }
    run.nodes.push(nodes)
    run.loads.push(network)
  }
  return run
}

describe('a class of nodes', () => {
  test('stays as it is while its load is in the band', () => {
    const { added, removed } = follow(3_600, () => 7, { nodes: 10 })
    expect([added, removed]).toEqual([[], []])
  })

  test('whose load doubles has more nodes within three seconds, enough for the middle of the band', () => {
    const { added, nodes } = follow(60, (second) => (second < 30 ? 7 : 14), { nodes: 10 })
    expect(added).toEqual([32])
    expect(nodes.at(-1)).toBe(20)
  })

  test('whose load halves gives its nodes back one by one, and keeps what is left in the band', () => {
    const { added, removed, nodes } = follow(600, (second) => (second < 30 ? 14 : 7), { nodes: 20 })
    expect(added).toEqual([])
    expect(nodes.at(-1)).toBe(11)
    for (const [index, second] of removed.entries()) {
      expect(second - (removed[index - 1] ?? 0)).toBeGreaterThanOrEqual(BELOW_ROUNDS)
    }
  })

  test('of a hundred nodes gives an eighth back at a time, as far as the others stay at the middle of the band', () => {
    const { removed, nodes } = follow(600, (second) => (second < 30 ? 70 : 35), { nodes: 100 })
    expect(nodes[removed[0] ?? 0]).toBe(88)
    // 100, 88, 77, 68, 60, 53: at 35 ÷ 53 = 0.66 the utilization is in the band again.
    expect([nodes.at(-1), removed.length]).toEqual([53, 5])
  })

  test.each([2, 5, 10, 20, 30, 38])(
    'takes a square wave of a period of %i s for its crest: no node is taken away',
    (period) => {
      const { added, removed } = follow(3_600, (second) => (second % period < period / 2 ? 9 : 2), {
        nodes: 3,
      })
      expect(added.length).toBeLessThanOrEqual(1)
      expect(removed.filter((second) => second > period)).toEqual([])
    },
  )

  test('follows a square wave of ten minutes with a bounded number of decisions', () => {
    const { added, removed, loads } = follow(6_000, (second) => (second % 600 < 300 ? 9 : 2), { nodes: 3 })
    expect(added.length).toBeLessThanOrEqual(10)
    expect(removed.length).toBeLessThanOrEqual(10 * 10)
    const high = loads.filter((_, second) => second % 600 >= 5 && second % 600 < 300)
    expect(Math.max(...high)).toBeLessThanOrEqual(0.8)
  })

  test('follows a ramp up and down, each decision in its direction', () => {
    const { added, removed, loads, nodes } = follow(7_200, (second) => 50 - Math.abs(second - 3_600) / 80, {
      nodes: 8,
    })
    expect(Math.max(...added)).toBeLessThan(3_700)
    expect(Math.min(...removed)).toBeGreaterThan(3_600)
    expect(Math.max(...nodes)).toBeLessThanOrEqual(Math.ceil(50 / 0.7))
    expect(Math.max(...loads.slice(60))).toBeLessThan(0.82)
    expect(added.length).toBeLessThan(60)
  })

  test('is not shaken by noise within the band, and decides at most a few times at its edge', () => {
    const random = new SeededRandom(`${seed}`)
    const noisy = (mean: number, spread: number) => () =>
      mean + (random.fraction() + random.fraction() - 1) * spread
    for (const mean of [6.5, 7, 7.5]) {
      const { added, removed } = follow(3_600, noisy(mean, 1), { nodes: 10 })
      // The addition at a peak is sized by the peak, and may be taken back once within the hour.
      expect(added.length).toBeLessThanOrEqual(1)
      expect(removed.length).toBeLessThanOrEqual(1)
    }
    const edge = follow(3_600, noisy(8, 2), { nodes: 10 })
    expect(edge.added.length + edge.removed.length).toBeLessThanOrEqual(6)
  })

  test('is given no more nodes than there may be, and idle ones count', () => {
    const full: Load = { ...noLoad, cpu: 1 }
    const seen = { loads: [full, full], idle: 1, room: 0, unsettled: false }
    let memory = noMemory
    for (let round = 0; round < 2; round++) memory = decide(memory, seen).memory
    expect(decide(memory, seen).decision).toEqual({ kind: 'add', nodes: 1, resource: 'cpu', load: 1 })
    expect(decide(memory, { ...seen, idle: 0 }).decision).toEqual({ kind: 'full', resource: 'cpu', load: 1 })
  })

  test('that runs out of bytes does not wait three seconds', () => {
    const seen = { loads: [{ ...noLoad, ram: 0.81 }], idle: 0, room: 3, unsettled: false }
    expect(decide(noMemory, seen).decision).toMatchObject({ kind: 'add', nodes: 1, resource: 'ram' })
  })

  test('loses no node while others drain, start or register, and none that the others could not do without', () => {
    const low: Load = { ...noLoad, network: 0.2 }
    const run = (seen: ClassLoad): string[] => {
      let memory = noMemory
      return Array.from({ length: 60 }, () => {
        const { memory: next, decision } = decide(memory, seen)
        memory = next
        return decision.kind
      })
    }
    const quiet = { loads: [low, low], idle: 0, room: 0, unsettled: false }
    expect(run(quiet)).toContain('remove')
    expect(run({ ...quiet, unsettled: true })).not.toContain('remove')
    expect(run({ ...quiet, loads: [low] })).not.toContain('remove')
    const half: Load = { ...noLoad, network: 0.4 }
    expect(run({ ...quiet, loads: [half, half] })).not.toContain('remove')
    expect(run({ ...quiet, loads: [low, { ...low, ram: 0.9 }] })).not.toContain('remove')
  })
})
