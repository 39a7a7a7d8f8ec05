import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'
import {
  canForgetPages,
  type Load,
  measurePlainFile,
  measureSsdTier,
  type Throughput,
} from '../../tiers/file-throughput.ts'

const GOAL_SHARE = 0.8
const GOAL_BLOCKED_MS = 5
const ROUNDS = 3
const MIB = 2 ** 20

const loads: readonly Load[] = [
  { bytes: 1024, count: 100_000, inFlight: 64 },
  { bytes: 65_536, count: 8_000, inFlight: 16 },
  { bytes: MIB, count: 600, inFlight: 8 },
]

/** The SSD tier, compared with plain file access by Node on the same disk. */
export const ssd: Suite = {
  summary: 'measure the SSD tier beside plain file I/O of Node, at three sizes',
  async run({ tiny, say, advance }: SuiteOptions): Promise<Report> {
    const rows: (string | number)[][] = []
    const goals: Goal[] = []
    const failures: string[] = []
    for (const [index, each] of loads.entries()) {
      const load = tiny ? { ...each, count: 20 } : each
      advance(index / loads.length)
      const plain: Throughput[] = []
      const tier: Throughput[] = []
      for (let round = 1; round <= (tiny ? 1 : ROUNDS); round++) {
        say(`${load.bytes} bytes, round ${round}`)
        plain.push(await measurePlainFile(load))
        tier.push(await measureSsdTier(load))
      }
      rows.push(rowOf(load, 'plain file', plain), rowOf(load, 'SSD tier', tier))
      goals.push(...goalsOf(load, plain, tier))
      const wrong = [...plain, ...tier].reduce((sum, each) => sum + each.wrong, 0)
      if (wrong > 0) failures.push(`${wrong} reads of ${load.bytes} bytes were wrong`)
    }
    const reads = (await canForgetPages()) ? 'from the disk' : 'from the page cache'
    return {
      settings: { rounds: ROUNDS, reads },
      columns: ['bytes', 'what', 'write MB/s', 'read MB/s', 'loop blocked at most, ms'],
      rows,
      goals,
      notes: [],
      failures,
      charts: [],
    }
  },
}

function rowOf({ bytes }: Load, what: string, rounds: readonly Throughput[]): (string | number)[] {
  const write = medianOf(rounds, (round) => round.writeBytesPerSecond)
  const read = medianOf(rounds, (round) => round.readBytesPerSecond)
  const blocked = medianOf(rounds, (round) => round.blockedMsMax)
  return [bytes, what, Math.round(write / 1e6), Math.round(read / 1e6), blocked.toFixed(1)]
}

function goalsOf({ bytes }: Load, plain: readonly Throughput[], tier: readonly Throughput[]): Goal[] {
  const share = (name: string, of: (round: Throughput) => number): Goal => {
    const ratio = medianOf(tier, of) / medianOf(plain, of)
    return {
      name: `${name}, ${bytes} bytes`,
      atLeast: `${100 * GOAL_SHARE} % of a plain file`,
      reachFor: '–',
      measured: `${Math.round(100 * ratio)} %`,
      verdict: ratio >= GOAL_SHARE ? 'holds' : 'FALLS SHORT',
    }
  }
  const blocked = medianOf(tier, (round) => round.blockedMsMax)
  return [
    share('writes', (round) => round.writeBytesPerSecond),
    share('reads', (round) => round.readBytesPerSecond),
    {
      name: `event loop, ${bytes} bytes`,
      atLeast: `blocked for at most ${GOAL_BLOCKED_MS} ms`,
      reachFor: '–',
      measured: `${blocked.toFixed(1)} ms`,
      verdict: blocked <= GOAL_BLOCKED_MS ? 'holds' : 'FALLS SHORT',
    },
  ]
}

function medianOf(rounds: readonly Throughput[], of: (round: Throughput) => number): number {
  const values = rounds.map(of).sort((a, b) => a - b)
  return values[Math.floor(values.length / 2)] ?? 0
}
