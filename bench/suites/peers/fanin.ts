import type { Entrant } from '../../load/entrant.ts'
import { formatBytes } from '../../report/chart.ts'
import { type Group, type Row, suiteOf } from '../../report/comparison.ts'
import { type GoalSpec, REDIS } from '../../report/goals.ts'
import { CALLS_PER_SECOND, type Measurement, measureCalls, P50_MS, P99_MS } from '../../report/measurement.ts'
import type { Operation } from '../../tasks/calls.ts'
import { sumOf } from '../../tasks/tally.ts'

const KIB = 1024
const SERVER_US = 'server µs/call'
const CLIENT_US = 'client µs/call'

/** Where the clients are, and how many calls each has outstanding. */
interface Clients {
  readonly processes: number
  /** Clients of each process, each with a connection of its own. */
  readonly clients: number
  readonly outstanding: number
}

interface Times {
  readonly ms: number
  readonly warmUpMs: number
}

/** Each process has compiled its code after some tenths of a second of CPU: the more there are, the longer that takes. */
const full = { ms: 2_000, warmUpMs: 300, objects: 2_000, firstMsPerProcess: 300 }
const tiny = { ms: 30, warmUpMs: 10, objects: 50, firstMsPerProcess: 5 }
const all: readonly Operation[] = ['put', 'get', 'mixed']
const putAndGet: readonly Operation[] = ['put', 'get']

/**
 * The clients of one group; more than 64 processes of each system take more memory than most machines have, so 256 clients are in 64
 * processes. In one process they cost the least CPU, which leaves more of it to the server.
 */
const groups: readonly {
  readonly processes: number
  readonly clients: number
  readonly sizes: readonly number[]
  readonly operations: readonly Operation[]
}[] = [
  { processes: 8, clients: 1, sizes: [KIB, 64 * KIB], operations: all },
  { processes: 32, clients: 1, sizes: [KIB, 64 * KIB], operations: all },
  { processes: 64, clients: 1, sizes: [KIB], operations: all },
  { processes: 64, clients: 4, sizes: [KIB], operations: putAndGet },
  { processes: 1, clients: 32, sizes: [KIB, 64 * KIB], operations: putAndGet },
  { processes: 1, clients: 256, sizes: [KIB], operations: putAndGet },
]

function groupsOf(isTiny: boolean): Group[] {
  const { objects, firstMsPerProcess, ...times } = isTiny ? tiny : full
  const wanted = isTiny ? [{ processes: 2, clients: 2, sizes: [KIB], operations: all }] : groups
  return wanted.map(({ processes, clients, sizes, operations }) => ({
    setUp: async (entrant) => {
      for (const objectBytes of sizes) {
        await entrant.run('fill', { objects, objectBytes, outstanding: 16 })
        const first = { operation: 'mixed', objects, objectBytes, outstanding: 4, warmUpMs: 0 } as const
        await entrant.runOnAll({ processes, clients }, 'calls', {
          ...first,
          ms: firstMsPerProcess * processes,
        })
      }
    },
    rows: sizes.flatMap((objectBytes) =>
      operations.flatMap((operation) =>
        [1, 4].map((outstanding) =>
          rowOf({ processes, clients, outstanding }, { operation, objectBytes, objects }, times),
        ),
      ),
    ),
  }))
}

function rowOf(
  clients: Clients,
  calls: { operation: Operation; objectBytes: number; objects: number },
  times: Times,
): Row {
  return {
    name: `${formatBytes(calls.objectBytes)} ${calls.operation}, ${nameOf(clients)} × ${clients.outstanding}`,
    measure: async (entrant) => {
      const params = { ...calls, outstanding: clients.outstanding }
      await entrant.runOnAll(clients, 'calls', { ...params, ms: times.warmUpMs, warmUpMs: 0 })
      return await measureFanIn(entrant, clients, { ...params, ms: times.ms, warmUpMs: 0 })
    },
  }
}

function nameOf({ processes, clients }: Clients): string {
  if (clients === 1) return `${processes} processes`
  return `${processes * clients} clients in ${processes} process${processes === 1 ? '' : 'es'}`
}

async function measureFanIn(
  entrant: Entrant,
  clients: Clients,
  params: Times & { operation: Operation; objectBytes: number; objects: number; outstanding: number },
): Promise<Measurement> {
  let calls = 1
  const measured = await measureCalls(entrant, async () => {
    const sum = sumOf(await entrant.runOnAll(clients, 'calls', params))
    calls = Math.max(1, sum.calls)
    return sum
  })
  const { serverCpuSeconds, clientCpuSeconds, figures } = measured
  // A time below one tick of the kernel's count was not measured.
  return {
    ...measured,
    figures: {
      ...figures,
      ...(serverCpuSeconds > 0 && { [SERVER_US]: (1e6 * serverCpuSeconds) / calls }),
      ...(clientCpuSeconds > 0 && { [CLIENT_US]: (1e6 * clientCpuSeconds) / calls }),
    },
  }
}

const isOne = (row: string): boolean => row.startsWith('1 KiB') && row.endsWith('× 1')

const goals: readonly GoalSpec[] = [
  {
    name: 'fan-in, server CPU per call, one outstanding, against Redis',
    ...{ rows: isOne, column: SERVER_US, against: REDIS, atLeast: 1 / 1.2, reachFor: 1 / 1.1 },
  },
  {
    name: 'fan-in, calls per second against Redis',
    ...{ rows: () => true, column: CALLS_PER_SECOND, against: REDIS, atLeast: 1, reachFor: 1.3 },
  },
]

export const fanin = suiteOf({
  summary: 'many client processes with one call each, or with four, against Redis',
  systems: ['mayfly', ...REDIS],
  rounds: { full: 3, tiny: 1 },
  columns: [
    { name: CALLS_PER_SECOND, better: 'higher', digits: 0 },
    { name: P50_MS, better: 'lower', digits: 3 },
    { name: P99_MS, better: 'lower', digits: 3 },
    { name: SERVER_US, better: 'lower', digits: 1 },
    { name: CLIENT_US, better: 'lower', digits: 1 },
  ],
  judgedBy: CALLS_PER_SECOND,
  groups: groupsOf,
  goals,
})
