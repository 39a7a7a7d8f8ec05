import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SLOTS_DEFAULT } from '../../../protocol/limits.ts'
import type { PlacedShare } from '../../../protocol/model/placement.ts'
import { signToken } from '../../../protocol/model/token.ts'
import { metadataOperations } from '../../../protocol/operations/control-operations.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import type { Caller } from '../../../protocol/transport/caller.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { clusterToken } from '../../../service/process/cluster-token.ts'
import { cpuSeconds } from '../../probes/process-stat.ts'
import { median } from '../../report/median.ts'
import { Cluster } from '../../servers/cluster.ts'
import type { Report, Suite, SuiteOptions } from '../../suite.ts'

export interface PlacementSettings {
  readonly rounds: number
  readonly windowMs: number
  /** Calls under way at each server. */
  readonly outstanding: number
}

const full: PlacementSettings = { rounds: 3, windowMs: 2_000, outstanding: 32 }
const tiny: PlacementSettings = { rounds: 1, windowMs: 200, outstanding: 4 }
const CALL_MS = 10_000
const MIB = 2 ** 20

/** One kind of work of a metadata server. It is called repeatedly, each time with another number. */
interface Work {
  readonly name: string
  run(at: Server, number: number): Promise<unknown>
}

/** A metadata server and the calls that are made to it. */
interface Server {
  readonly number: number
  readonly controller: Caller
  /** Authenticated as a client of `job`. */
  readonly client: Caller
  readonly share: PlacedShare
}

const works: readonly Work[] = [
  {
    name: 'job placed and ended',
    run: async ({ controller, share, number: server }, number) => {
      const job = `j-${server}-${number}`
      const request = { job, slots: SLOTS_DEFAULT, readsPerThousand: null, shares: [share] }
      await controller.call(placementOperations.jobCreate, request, deadline())
      await controller.call(placementOperations.jobEnd, { job }, deadline())
    },
  },
  {
    name: 'placement changed',
    run: ({ controller, share, number: server }, number) => {
      const shares = [{ ...share, ramBytes: MIB + (number % 100) }]
      const request = { job: jobOf(server), readsPerThousand: null, shares }
      return controller.call(placementOperations.jobShares, request, deadline())
    },
  },
  {
    name: 'key located',
    run: ({ client }, number) => {
      const request = { bucket: 'default', key: Buffer.from(`map/${number}`) }
      return client.call(metadataOperations.locate, request, deadline())
    },
  },
]

export interface Measured {
  readonly perSecond: number
  readonly metadataCpu: number
  readonly nodesCpu: number
}

export const placements: Suite = {
  summary: 'placements per second of one metadata server and of two',
  run: async ({ tiny: isTiny, signal, say, advance }: SuiteOptions): Promise<Report> => {
    const settings = isTiny ? tiny : full
    const rows: (string | number)[][] = []
    const measured = new Map<string, Measured[]>()
    const failures: string[] = []
    for (let round = 1; round <= settings.rounds; round++) {
      advance((round - 1) / settings.rounds)
      for (const servers of [1, 2]) {
        signal.throwIfAborted()
        say(`round ${round} of ${settings.rounds}: ${servers} server${servers > 1 ? 's' : ''}`)
        await measureRound({ servers, settings, measured, failures })
      }
    }
    for (const { name } of works) {
      for (const servers of [1, 2]) {
        const all = measured.get(`${name}/${servers}`) ?? []
        const of = (figure: (each: Measured) => number): number => median(all.map(figure))
        const once = median((measured.get(`${name}/1`) ?? []).map(({ perSecond }) => perSecond))
        rows.push([
          name,
          servers,
          of(({ perSecond }) => perSecond).toFixed(0),
          `${(of(({ perSecond }) => perSecond) / once).toFixed(2)}x`,
          of(({ metadataCpu }) => metadataCpu).toFixed(2),
          of(({ nodesCpu }) => nodesCpu).toFixed(2),
        ])
      }
    }
    return {
      settings: { ...settings },
      columns: ['what', 'servers', 'per second', 'of one', 'metadata cores', 'node cores'],
      rows,
      goals: [],
      notes: [
        'every server has one job, and its own calls; caller, storage node and servers share the machine',
      ],
      charts: [],
      failures,
    }
  },
}

/** Adds the figures of one cluster to `measured`, under `WORK/KEY`. */
export async function measureRound(round: {
  servers: number
  /** URL of the PostgreSQL with the decisions; SQLite if missing. */
  database?: string | undefined
  key?: string
  /** Names of the work that is measured; all by default. */
  only?: readonly string[]
  settings: PlacementSettings
  measured: Map<string, Measured[]>
  failures: string[]
}): Promise<void> {
  const { servers: count, database, key = String(count), only, settings, measured, failures } = round
  const cluster = await Cluster.start(
    { ramBytes: 256 * MIB, nodesMax: 1 },
    { metadataServers: count, database },
  )
  const pools = new Set<CallerPool>()
  try {
    const servers = await connectAll(cluster, { count, pools })
    const pids = await cluster.pidsByPlane()
    for (const work of works.filter(({ name }) => only?.includes(name) ?? true)) {
      const before = [await cpuSeconds(pids.metadata), await cpuSeconds(pids['storage-node'])]
      const { done, seconds } = await repeatFor(work, { servers, settings, failures })
      const after = [await cpuSeconds(pids.metadata), await cpuSeconds(pids['storage-node'])]
      const [metadataCpu = 0, nodesCpu = 0] = after.map(
        (cpu, index) => (cpu - (before[index] ?? 0)) / seconds,
      )
      const name = `${work.name}/${key}`
      const all = measured.get(name) ?? []
      measured.set(name, [...all, { perSecond: done / seconds, metadataCpu, nodesCpu }])
    }
  } finally {
    for (const pool of pools) pool.close()
    await cluster.stop()
  }
}

/** Each server gets a job on the one node, which confirms every placement. */
async function connectAll(
  cluster: Cluster,
  { count, pools }: { count: number; pools: Set<CallerPool> },
): Promise<Server[]> {
  const { clock } = systemRuntime
  const secret = Buffer.from((await readFile(join(cluster.stateDir, 'cluster-secret'), 'utf8')).trim(), 'hex')
  const [node] = await cluster.activeNodes()
  if (node === undefined) throw new Error('no storage node serves')
  const { metadata } = await cluster.call<{ metadata: { address: string }[] }>('GET', '/v1/cluster')
  const open = async (address: string, token: () => Buffer): Promise<Caller> => {
    const pool = new CallerPool({ dial: dialTcp, runtime: systemRuntime, token })
    pools.add(pool)
    return await pool.to(address)
  }
  const share = { weight: 1, ramBytes: MIB, ssdBytes: 0, s3Bytes: 0, bytesPerSecond: 1 }
  return await Promise.all(
    metadata.slice(0, count).map(async ({ address }, index) => {
      const job = jobOf(index)
      const expiresSeconds = Math.floor(clock.wallMs() / 1000) + 3600
      const claims = { job, read: true, write: true, expiresSeconds }
      const controller = await open(address, () => clusterToken(secret, clock.wallMs()))
      const client = await open(address, () => signToken(secret, claims))
      const server = {
        number: index,
        controller,
        client,
        share: { node: node.id, address: node.address, ...share },
      }
      const request = { job, slots: SLOTS_DEFAULT, readsPerThousand: null, shares: [server.share] }
      await controller.call(placementOperations.jobCreate, request, deadline())
      return server
    }),
  )
}

async function repeatFor(
  work: Work,
  {
    servers,
    settings,
    failures,
  }: { servers: readonly Server[]; settings: PlacementSettings; failures: string[] },
): Promise<{ done: number; seconds: number }> {
  const began = performance.now()
  let next = 0
  let done = 0
  const lane = async (server: Server): Promise<void> => {
    while (performance.now() - began < settings.windowMs) {
      try {
        await work.run(server, next++)
        done++
      } catch (error) {
        failures.push(`${work.name}: ${String(error)}`)
      }
    }
  }
  const lanes = servers.flatMap((server) => Array.from({ length: settings.outstanding }, () => lane(server)))
  await Promise.all(lanes)
  return { done, seconds: (performance.now() - began) / 1000 }
}

function jobOf(server: number): string {
  return `j-bench-${server}`
}

function deadline(): { deadlineMs: number } {
  return { deadlineMs: systemRuntime.clock.monotonicMs() + CALL_MS }
}
