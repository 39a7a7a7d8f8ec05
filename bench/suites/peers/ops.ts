import { formatBytes } from '../../report/chart.ts'
import { type Comparison, type Group, type Row, suiteOf } from '../../report/comparison.ts'
import { type GoalSpec, REDIS } from '../../report/goals.ts'
import { CALLS_PER_SECOND, callColumns, measureCalls, P50_MS, P99_MS } from '../../report/measurement.ts'
import type { CallsParams, Operation } from '../../tasks/calls.ts'

const KIB = 1024
const MIB = 1024 * KIB
const operations: readonly Operation[] = ['put', 'get', 'mixed']

interface Settings {
  readonly objectBytes: readonly number[]
  readonly outstanding: readonly number[]
  readonly ms: number
  readonly warmUpMs: number
  /** Warm-up of each size before its first row: until then objects are put into memory that the process has not used yet. */
  readonly firstMs: number
  /** All objects of one size together. No system evicts at this size. */
  readonly storedBytes: number
  readonly objectsMax: number
}

const full: Settings = {
  objectBytes: [KIB, 64 * KIB, MIB, 16 * MIB],
  outstanding: [1, 16, 64, 256],
  ms: 700,
  warmUpMs: 150,
  firstMs: 2_000,
  storedBytes: 512 * MIB,
  objectsMax: 10_000,
}
const tiny: Settings = {
  objectBytes: [KIB, 2 * MIB],
  outstanding: [1, 16],
  ms: 30,
  warmUpMs: 10,
  firstMs: 20,
  storedBytes: 16 * MIB,
  objectsMax: 100,
}

/** From this many bytes under way, a warm-up as long as the measurement changes nothing. */
const WARM_UP_BYTES_MAX = 256 * MIB

/** The server holds as much again, and MinIO's drive is in memory: with 4 GiB under way a machine of 24 GiB begins to swap. */
const UNDER_WAY_BYTES_MAX = 1024 * MIB

/** One group for each size: every pair of operation and number of calls under way. */
function groupsOf(isTiny: boolean, of: Partial<Settings> = {}): Group[] {
  const {
    objectBytes: sizes,
    outstanding: depths,
    firstMs,
    storedBytes,
    objectsMax,
    ...times
  } = isTiny ? tiny : { ...full, ...of }
  return sizes.map((objectBytes) => {
    const objects = Math.min(objectsMax, storedBytes / objectBytes)
    return {
      setUp: async (entrant) => {
        const some = { objects, objectBytes, outstanding: 16 }
        await entrant.run('fill', some)
        await entrant.run('calls', { ...some, operation: 'mixed', ms: firstMs, warmUpMs: 0 })
      },
      rows: operations.flatMap((operation) =>
        depths.flatMap((outstanding) => {
          const underWayBytes = outstanding * objectBytes
          if (underWayBytes > UNDER_WAY_BYTES_MAX) return []
          const warmUpMs = underWayBytes > WARM_UP_BYTES_MAX ? 0 : times.warmUpMs
          return [rowOf({ ...times, warmUpMs, operation, outstanding, objects, objectBytes })]
        }),
      ),
    }
  })
}

function rowOf(params: CallsParams): Row {
  const { objectBytes, operation, outstanding } = params
  return {
    name: `${formatBytes(objectBytes)} ${operation} at ${outstanding}`,
    family: `${operation}, ${outstanding} outstanding`,
    objectBytes,
    measure: (entrant) => measureCalls(entrant, () => entrant.run('calls', params)),
  }
}

const putOrGet = /^(\S+ \S+) (put|get) at (\d+)$/

function isRow(sizes: readonly string[], depths: readonly number[]): (row: string) => boolean {
  return (row) => {
    const [, size = '', , depth] = putOrGet.exec(row) ?? []
    return sizes.includes(size) && depths.includes(Number(depth))
  }
}

const calls = CALLS_PER_SECOND
const large = ['64 KiB', '1 MiB', '16 MiB']
const deep = [16, 64, 256]
const all = [1, ...deep]

const goals: readonly GoalSpec[] = [
  {
    name: '1 KiB put and get, 64 and 256 outstanding, against Redis',
    ...{ rows: isRow(['1 KiB'], [64, 256]), column: calls, against: REDIS, atLeast: 2, reachFor: 3 },
  },
  {
    name: '1 KiB put and get, one outstanding, p50 against Redis',
    ...{ rows: isRow(['1 KiB'], [1]), column: P50_MS, against: REDIS, atLeast: 1, reachFor: 1 / 0.7 },
  },
  {
    name: '1 KiB put and get, p99 at 64 outstanding against Redis',
    ...{ rows: isRow(['1 KiB'], [64]), column: P99_MS, against: REDIS, atLeast: 1, reachFor: 2 },
  },
  ...large.map((size) => ({
    name: `${size} put and get, 16 to 256 outstanding, against Redis`,
    ...{ rows: isRow([size], deep), column: calls, against: REDIS, atLeast: 1.5, reachFor: 2 },
  })),
  ...large.map((size) => ({
    name: `${size} put and get, 16 to 256 outstanding, of the limit`,
    ...{ rows: isRow([size], deep), column: calls, against: ['limit'] as const, reachFor: 0.9 },
  })),
  {
    name: '1 KiB put and get, against the S3 SDK on MinIO',
    ...{ rows: isRow(['1 KiB'], all), column: calls, against: ['s3'], atLeast: 20 },
  },
]

const comparison: Comparison = {
  summary: 'put, get and both by size and by calls outstanding, against Redis, MinIO and the limit',
  systems: ['mayfly', ...REDIS, 's3', 'limit'],
  rounds: { full: 3, tiny: 1 },
  columns: callColumns,
  judgedBy: calls,
  groups: groupsOf,
  goals,
}

export const ops = suiteOf(comparison)

/** The ceiling alone, with the same rows. */
export const limit = suiteOf({
  ...comparison,
  summary: 'the ceiling: raw loopback sockets in Node, with the rows of ops',
  systems: ['limit'],
  goals: [],
})

/** What TLS costs: the rows beside those of `ops`, and beside Redis with TLS. */
export const tls = suiteOf({
  ...comparison,
  summary: 'put, get and both over TLS 1.3, against Redis with TLS',
  systems: ['mayfly', ...REDIS],
  groups: (isTiny) => groupsOf(isTiny, { objectBytes: [KIB, 64 * KIB, MIB], outstanding: [1, 64] }),
  tls: true,
  goals: [],
})
