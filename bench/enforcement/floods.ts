import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { constants, setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect, type Job } from 'mayfly'
import { childAnswer } from '../load/child-answer.ts'
import { cpuSeconds } from '../probes/process-stat.ts'
import { Latencies } from '../report/latencies.ts'
import { median } from '../report/median.ts'
import { Cluster } from '../servers/cluster.ts'
import type { Goal } from '../suite.ts'

/**
 * The calls of a flood: of one key, of 1,000 keys, for the metadata of an object with 1,000 names or with as many runs as there may be, listings of 1,000 keys, or
 * appends to one object that begins anew when it is full.
 */
export type FloodKind =
  | 'get'
  | 'put'
  | 'append'
  | 'stat'
  | 'statOfRuns'
  | 'getMany'
  | 'putMany'
  | 'deleteMany'
  | 'list'

export interface FlooderOptions {
  readonly ticket: string
  readonly kind: FloodKind
  /** Number of calls under way. */
  readonly lanes: number
}

export type FromFlooder = { readonly type: 'ready' } | { readonly type: 'failed'; readonly reason: string }

export interface FloodSettings {
  readonly kinds: readonly FloodKind[]
  readonly rounds: number
  readonly lanes: number
  readonly windowMs: number
}

/** In ms, for each round: the latency of the bystander's get alone and beside the flood. */
interface Pair {
  readonly alone: Latencies
  readonly beside: Latencies
  /** CPU seconds of the node for each second beside the flood. */
  readonly nodeLoad: number
}

export interface FloodResult {
  readonly kind: FloodKind
  readonly pairs: readonly Pair[]
  readonly failures: readonly string[]
}

const ONE_KEY: readonly FloodKind[] = ['get', 'put']
const P99_RATIO_MAX = 2
const P99_MORE_MS_MAX = 5
const MIB = 2 ** 20
const program = fileURLToPath(new URL('flooder.js', import.meta.url))

/** A cluster of one node for each kind. The bystander has one get under way, alone and beside the flood in alternating rounds. */
export async function runFlood(
  kind: FloodKind,
  { rounds, lanes, windowMs }: FloodSettings,
): Promise<FloodResult> {
  const cluster = await Cluster.start({ ramBytes: 512 * MIB, nodesMax: 1 })
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    const half = { capacityBytes: 64 * MIB, peakBytesPerSecond: 4e8 }
    const bystander = await mayfly.registerJob('bystander', half)
    const flooding = await mayfly.registerJob('flood', half)
    await bystander.put('k', Buffer.alloc(1_024, 7))
    await gets(bystander, windowMs)
    const pairs: Pair[] = []
    const failures: string[] = []
    for (let round = 0; round < rounds; round++) {
      const alone = await gets(bystander, windowMs)
      const flooder = fork(program, [JSON.stringify({ ticket: flooding.ticket, kind, lanes })])
      try {
        flooder.on('message', (message: FromFlooder) => {
          if (message.type === 'failed') failures.push(`the flood of ${kind}: ${message.reason}`)
        })
        await childAnswer<FromFlooder, 'ready'>(flooder, 'ready')
        letOthersPreempt(flooder.pid as number)
        await sleep(windowMs / 4)
        const { 'storage-node': nodes } = await cluster.pidsByPlane()
        const before = await cpuSeconds(nodes)
        const beside = await gets(bystander, windowMs)
        const nodeSeconds = (await cpuSeconds(nodes)) - before
        pairs.push({ alone, beside, nodeLoad: nodeSeconds / (windowMs / 1000) })
      } finally {
        await end(flooder)
      }
    }
    await bystander.close()
    await flooding.close()
    return { kind, pairs, failures }
  } finally {
    await cluster.stop()
  }
}

async function gets(job: Job, windowMs: number): Promise<Latencies> {
  const ms: number[] = []
  const beganMs = performance.now()
  for (let nowMs = beganMs; nowMs - beganMs < windowMs; ) {
    await job.get('k')
    const thenMs = performance.now()
    ms.push(thenMs - nowMs)
    nowMs = thenMs
  }
  return new Latencies(ms, (performance.now() - beganMs) / 1000)
}

/**
 * The flooding client stands on another machine in production. Here node and bystander preempt it at once (`SCHED_IDLE`), so that the node's shares of CPU time
 * are measured and not the kernel's. From Linux 6.6 on (EEVDF) even a process of the lowest priority is not preempted before its time slice ends.
 */
function letOthersPreempt(pid: number): void {
  if (process.platform !== 'linux') return setPriority(pid, constants.priority.PRIORITY_LOW)
  execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(pid)])
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

export const floodColumns = [
  'p50 alone ms',
  'p50 beside ms',
  'p99 alone ms',
  'p99 beside ms',
  'gets/s beside',
  'CPU of the node',
]

/** Medians of the rounds. */
export function floodCells({ pairs }: FloodResult): string[] {
  const of = (figure: (pair: Pair) => number): number => median(pairs.map(figure))
  return [
    of(({ alone }) => alone.percentile(50)).toFixed(2),
    of(({ beside }) => beside.percentile(50)).toFixed(2),
    of(({ alone }) => alone.percentile(99)).toFixed(2),
    of(({ beside }) => beside.percentile(99)).toFixed(2),
    of(({ beside }) => beside.callsPerSecond).toFixed(0),
    `${(100 * of(({ nodeLoad }) => nodeLoad)).toFixed(0)} %`,
  ]
}

export function floodGoal({ kind, pairs }: FloodResult): Goal {
  const alone = median(pairs.map((pair) => pair.alone.percentile(99)))
  const beside = median(pairs.map((pair) => pair.beside.percentile(99)))
  const isOneKey = ONE_KEY.includes(kind)
  const holds = isOneKey ? beside <= P99_RATIO_MAX * alone : beside - alone <= P99_MORE_MS_MAX
  return {
    name: `a bystander's p99 beside a flood of ${kind}`,
    atLeast: isOneKey ? `at most ${P99_RATIO_MAX}× its own` : `at most ${P99_MORE_MS_MAX} ms more`,
    reachFor: '–',
    measured: isOneKey ? `${(beside / alone).toFixed(2)}×` : `${(beside - alone).toFixed(1)} ms more`,
    verdict: holds ? 'holds' : 'FALLS SHORT',
  }
}
