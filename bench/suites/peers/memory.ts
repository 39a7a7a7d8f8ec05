import { setTimeout as sleep } from 'node:timers/promises'
import type { Entrant } from '../../load/entrant.ts'
import { residentBytes } from '../../probes/process-stat.ts'
import { formatBytes } from '../../report/chart.ts'
import { type Group, suiteOf } from '../../report/comparison.ts'
import { type Column, type Measurement, measureCalls } from '../../report/measurement.ts'
import type { Server } from '../../servers/server.ts'

interface Settings {
  readonly objects: number
  readonly objectBytes: number
  /** How long objects are put and got once all of them are stored. */
  readonly trafficMs: number
}

const KIB = 1024
const full: readonly Settings[] = [
  { objects: 5_000_000, objectBytes: 100, trafficMs: 10_000 },
  { objects: 500_000, objectBytes: KIB, trafficMs: 3_000 },
  { objects: 8_192, objectBytes: 64 * KIB, trafficMs: 3_000 },
]
const tiny: readonly Settings[] = [
  { objects: 2_000, objectBytes: 100, trafficMs: 50 },
  { objects: 2_000, objectBytes: KIB, trafficMs: 50 },
]
const OUTSTANDING = 64

interface Times {
  /** Time for a runtime to return free memory. */
  readonly settleMs: number
  /** Length of the warm-up traffic: the first get of a process is slow for other reasons. */
  readonly warmUpMs: number
}

const times: Readonly<Record<'full' | 'tiny', Times>> = {
  full: { settleMs: 3_000, warmUpMs: 2_000 },
  tiny: { settleMs: 10, warmUpMs: 10 },
}

const PER_BYTE = 'bytes per byte'
const STALL_MS = 'stall ms'
const columns: readonly Column[] = [
  { name: PER_BYTE, better: 'lower', digits: 3 },
  { name: STALL_MS, better: 'lower', digits: 1 },
  { name: 'slowest call ms', better: 'lower', digits: 1 },
]

/** Each row has servers of its own, which have stored nothing before. */
function groupsOf(isTiny: boolean): Group[] {
  return (isTiny ? tiny : full).map((settings) => ({
    rows: [
      {
        name: `${settings.objects.toLocaleString('en')} × ${formatBytes(settings.objectBytes)}`,
        measure: (entrant) => measureMemory(entrant, settings, times[isTiny ? 'tiny' : 'full']),
      },
    ],
  }))
}

async function measureMemory(
  entrant: Entrant,
  { objects, objectBytes, trafficMs }: Settings,
  { settleMs, warmUpMs }: Times,
): Promise<Measurement> {
  const { server } = entrant
  const beforeBytes = await memoryOf(server)
  await entrant.run('fill', { objects, objectBytes, outstanding: OUTSTANDING })
  await sleep(settleMs)
  const perByte = ((await memoryOf(server)) - beforeBytes) / (objects * objectBytes)
  const calls = { operation: 'mixed', objects, objectBytes, outstanding: OUTSTANDING } as const
  await entrant.run('calls', { ...calls, ms: warmUpMs, warmUpMs: 0 })
  await server.longestStallMs?.()
  const traffic = await measureCalls(entrant, () =>
    entrant.run('calls', { ...calls, ms: trafficMs, warmUpMs: 0 }),
  )
  const stallMs = await server.longestStallMs?.()
  const figures = {
    [PER_BYTE]: perByte,
    ...(stallMs !== undefined && { [STALL_MS]: stallMs }),
    'slowest call ms': traffic.ranksMs?.at(-1) ?? 0,
  }
  return { ...traffic, figures }
}

async function memoryOf(server: Server): Promise<number> {
  return await residentBytes(await server.pids())
}

export const memory = suiteOf({
  summary: 'resident bytes for each stored byte, and stalls while 5 million objects are held, against Redis',
  systems: ['mayfly', 'ioredis pipelining'],
  rounds: { full: 1, tiny: 1 },
  watchesStalls: true,
  columns,
  judgedBy: PER_BYTE,
  groups: groupsOf,
  goals: [
    {
      name: 'memory at 1 KiB',
      rows: endsWith('1 KiB'),
      column: PER_BYTE,
      unit: 'bytes',
      atMost: 1.15,
      reachFor: 1.08,
    },
    {
      name: 'memory at 64 KiB',
      rows: endsWith('64 KiB'),
      column: PER_BYTE,
      unit: 'bytes',
      atMost: 1.05,
      reachFor: 1.02,
    },
    {
      name: 'memory, against Redis',
      rows: () => true,
      column: PER_BYTE,
      against: ['ioredis pipelining'],
      atLeast: 1,
    },
    {
      name: 'longest stall with 5 million objects',
      rows: (row) => row.startsWith('5,000,000'),
      column: STALL_MS,
      unit: 'ms',
      atMost: 10,
      reachFor: 3,
    },
  ],
})

function endsWith(size: string): (row: string) => boolean {
  return (row) => row.endsWith(` ${size}`)
}
