import { ApiConnection } from '../../load/api-connection.ts'
import { median } from '../../report/median.ts'
import { Cluster, command } from '../../servers/cluster.ts'
import type { Member } from '../../servers/member.ts'
import { Postgres } from '../../servers/postgres.ts'
import { StandbyCluster } from '../../servers/standby-cluster.ts'
import type { Report, Suite, SuiteOptions } from '../../suite.ts'
import { type Measured, measureRound } from './placements.ts'

interface Settings {
  readonly rounds: number
  /** Uncounted registrations before the window. */
  readonly warmMs: number
  readonly windowMs: number
  /** Calls under way at the metadata server, or at the controller. */
  readonly outstanding: number
  /** Leaders killed per plane. */
  readonly kills: number
}

const full: Settings = { rounds: 3, warmMs: 2_000, windowMs: 3_000, outstanding: 16, kills: 20 }
const tiny: Settings = { rounds: 1, warmMs: 100, windowMs: 300, outstanding: 4, kills: 1 }
const MIB = 2 ** 20
const stores = ['SQLite', 'PostgreSQL'] as const
/** Works of the suite `placements` that write. */
const works = ['job placed and ended', 'placement changed'] as const

/** The part of the suite after which leaders are killed. */
const TAKE_OVERS_FROM = 0.3
/** Maximum time from the death of a leader until another process serves. */
const TAKE_OVER_MS_MAX = 6_000

export const state: Suite = {
  summary: 'decisions per second on SQLite and on PostgreSQL, and how long standbys take to lead',
  run: async ({ tiny: isTiny, signal, say, advance }: SuiteOptions): Promise<Report> => {
    const settings = isTiny ? tiny : full
    const failures: string[] = []
    const postgres = await Postgres.start({ durable: !isTiny })
    try {
      const measured = new Map<string, Measured[]>()
      const registered = new Map<string, number[]>()
      for (let round = 1; round <= settings.rounds; round++) {
        advance(((round - 1) / settings.rounds) * TAKE_OVERS_FROM)
        for (const store of stores) {
          signal.throwIfAborted()
          say(`round ${round} of ${settings.rounds}: ${store}`)
          const database = store === 'SQLite' ? undefined : await postgres.createDatabase()
          await measureRound({ servers: 1, database, key: store, only: works, settings, measured, failures })
          const perSecond = await registrationsPerSecond(database, { settings, failures })
          registered.set(store, [...(registered.get(store) ?? []), perSecond])
        }
      }
      const rates = works.flatMap((work) =>
        stores.map((store) => {
          const perSecond = (measured.get(`${work}/${store}`) ?? []).map((each) => each.perSecond)
          return [work, store, median(perSecond).toFixed(0), '']
        }),
      )
      const registrations = stores.map((store) => {
        return ['job registered and ended', store, median(registered.get(store) ?? []).toFixed(0), '']
      })
      const tookMs = await takeOvers(await postgres.createDatabase(), { settings, signal, say, advance })
      const takeOverRows = Object.entries(tookMs).map(([plane, ms]) => {
        const seconds = (value: number): string => `${(value / 1000).toFixed(2)} s`
        return [`take-over of the ${plane}`, 'PostgreSQL', seconds(median(ms)), seconds(Math.max(...ms))]
      })
      const worstMs = Math.max(...Object.values(tookMs).flat())
      return {
        settings: { ...settings },
        columns: ['what', 'state', 'per second, or median', 'worst'],
        rows: [...rates, ...registrations, ...takeOverRows],
        goals: [
          {
            name: `a standby leads after ${settings.kills} kills of each plane`,
            atLeast: `< ${TAKE_OVER_MS_MAX} ms`,
            reachFor: `< ${TAKE_OVER_MS_MAX} ms`,
            measured: `${worstMs.toFixed(0)} ms`,
            verdict: worstMs < TAKE_OVER_MS_MAX ? 'reached' : 'FALLS SHORT',
          },
        ],
        notes: ['PostgreSQL, all processes and the caller share the machine; its commits reach the disk'],
        charts: [],
        failures,
        measurements: { tookMs },
      }
    } finally {
      await postgres.stop()
    }
  },
}

/** Jobs that are registered and deregistered through the HTTP API, one after the other in each lane. */
async function registrationsPerSecond(
  database: string | undefined,
  { settings, failures }: { settings: Settings; failures: string[] },
): Promise<number> {
  const cluster = await Cluster.start({ ramBytes: 256 * MIB, nodesMax: 1 }, { database })
  const connections = await Promise.all(
    Array.from({ length: settings.outstanding }, () => ApiConnection.open(cluster)),
  )
  try {
    await registerFor(settings.warmMs, connections, failures)
    const began = performance.now()
    const done = await registerFor(settings.windowMs, connections, failures)
    return (done * 1000) / (performance.now() - began)
  } finally {
    for (const connection of connections) connection.close()
    await cluster.stop()
  }
}

async function registerFor(
  ms: number,
  connections: readonly ApiConnection[],
  failures: string[],
): Promise<number> {
  const untilMs = performance.now() + ms
  let done = 0
  const lane = async (connection: ApiConnection, number: number): Promise<void> => {
    try {
      while (performance.now() < untilMs) {
        const content = { name: `bench-${number}`, hints: { capacityBytes: MIB } }
        const { id } = await connection.call<{ id: string }>('POST', '/v1/jobs', content)
        await connection.call('DELETE', `/v1/jobs/${id}`)
        done++
      }
    } catch (error) {
      failures.push(`registration: ${String(error)}`)
    }
  }
  await Promise.all(connections.map(lane))
  return done
}

/** Ms from each SIGKILL of a leader until its standby serves. */
async function takeOvers(
  database: string,
  {
    settings,
    signal,
    say,
    advance,
  }: Pick<SuiteOptions, 'signal' | 'say' | 'advance'> & { settings: Settings },
): Promise<Record<string, number[]>> {
  const cluster = await StandbyCluster.prepare({ command, database })
  try {
    const planes: Record<string, (turn: number) => Promise<Member>> = {
      controller: (turn) => cluster.controller(turn % 2),
      'metadata server': () => cluster.metadata('m-1'),
    }
    const took: Record<string, number[]> = {}
    const kills = settings.kills * Object.keys(planes).length
    let done = 0
    for (const [plane, start] of Object.entries(planes)) {
      let leader = await start(0)
      await leader.ready
      for (let kill = 1; kill <= settings.kills; kill++) {
        signal.throwIfAborted()
        advance(TAKE_OVERS_FROM + (done++ / kills) * (1 - TAKE_OVERS_FROM))
        const standby = await start(kill)
        await standby.waiting()
        const killedMs = performance.now()
        leader.child.kill('SIGKILL')
        await standby.ready
        took[plane] = [...(took[plane] ?? []), performance.now() - killedMs]
        leader = standby
      }
      say(`the ${plane} was killed ${settings.kills} times`)
    }
    return took
  } finally {
    await cluster.stop()
  }
}
