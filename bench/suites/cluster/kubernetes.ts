import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from '../../report/median.ts'
import { Kubernetes } from '../../servers/kubernetes/kubernetes.ts'
import { Postgres } from '../../servers/postgres.ts'
import type { Report, Suite, SuiteOptions } from '../../suite.ts'
import {
  type Burst,
  type BurstSettings,
  type Drain,
  type DrainSettings,
  measureBurst,
  measureDrain,
  measureStarts,
  type Start,
  type Use,
} from './kubernetes-rounds.ts'

interface Settings extends DrainSettings, BurstSettings {
  /** Registrations that need a pod. */
  readonly starts: number
}

const full: Settings = {
  starts: 10,
  ...{ objects: 16_384, objectBytes: 65_536, clients: 1, lanes: 4, beforeMs: 5_000 },
  ...{ pods: 200, steadyMs: 60_000 },
}
const tiny: Settings = {
  starts: 1,
  ...{ objects: 256, objectBytes: 65_536, clients: 1, lanes: 1, beforeMs: 1_000 },
  ...{ pods: 3, steadyMs: 2_000 },
}

export const kubernetes: Suite = {
  summary: 'registrations that need a pod, a pod that is deleted under load, and many pods at once',
  run: async ({ tiny: isTiny, signal, say, advance }: SuiteOptions): Promise<Report> => {
    const settings = isTiny ? tiny : full
    const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-'))
    const postgres = await Postgres.start({ durable: !isTiny })
    const kubernetes = await Kubernetes.start()
    try {
      const on = async () => ({ kubernetes, dir, signal, database: await postgres.createDatabase() })
      say(`${settings.starts} registrations that need a pod`)
      const starts = await measureStarts(await on(), settings.starts)
      advance(1 / 3)
      say('a pod is deleted under load')
      const drain = await measureDrain(await on(), settings)
      advance(2 / 3)
      say(`${settings.pods} pods at once`)
      const burst = await measureBurst(await on(), settings)
      return {
        settings: { ...settings },
        columns: ['what', 'figure', ''],
        rows: [...startRows(starts), ...drainRows(drain), ...burstRows(settings.pods, burst)],
        goals: [],
        notes: ['API server, etcd, scheduler, PostgreSQL and all pods share the machine with the controller'],
        charts: [],
        failures: drain.problems,
        measurements: { starts, drain, burst },
      }
    } finally {
      await kubernetes.stop()
      await postgres.stop()
      await rm(dir, { recursive: true, force: true })
    }
  },
}

function startRows(starts: readonly Start[]): string[][] {
  const row = (what: string, of: (start: Start) => number): string[] => {
    const ms = starts.map(of)
    return [what, `${median(ms).toFixed(0)} ms`, `${Math.max(...ms).toFixed(0)} ms at the most`]
  }
  return [
    row('registration that needs a pod', (start) => start.decidedMs + start.kubernetesMs + start.broughtUpMs),
    row('of which ours: until the pod is requested', ({ decidedMs }) => decidedMs),
    row('of which of Kubernetes: until its process runs', ({ kubernetesMs }) => kubernetesMs),
    row('of which ours: until the job is active', ({ broughtUpMs }) => broughtUpMs),
  ]
}

function drainRows({ mebibytes, tookMs, before, during, problems }: Drain): string[][] {
  const calls = (of: Drain['before']): string =>
    `${of.callsPerSecond.toFixed(0)} calls/s, p99 ${of.percentile(99).toFixed(1)} ms`
  const rate = (mebibytes * 1000) / tookMs
  return [
    [
      'pod deleted under load',
      `${mebibytes} MiB in ${(tookMs / 1000).toFixed(1)} s`,
      `${rate.toFixed(0)} MiB/s`,
    ],
    ['before', calls(before), ''],
    ['meanwhile', calls(during), `${problems.length} of ${during.count} failed`],
  ]
}

function burstRows(pods: number, { starting, steady, ending }: Burst): string[][] {
  const row = (what: string, { seconds, cpuSeconds, requests }: Use): string[] => [
    `${what}: CPU of the controller, its requests`,
    `${cpuSeconds.toFixed(1)} s in ${seconds.toFixed(0)} s`,
    Object.entries(requests)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', '),
  ]
  return [
    row(`${pods} pods start at once`, starting),
    row(`${pods} pods run`, steady),
    row(`${pods} pods end at once`, ending),
  ]
}
