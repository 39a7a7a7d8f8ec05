import { randomBytes } from 'node:crypto'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import type { RegisteredJob } from 'mayfly'
import { presignUrl } from '../../../client/presign.ts'
import { BUCKET } from '../../clients/s3.ts'
import { cpuSeconds } from '../../probes/process-stat.ts'
import { median } from '../../report/median.ts'
import { type MayflyServer, startMayfly } from '../../servers/mayfly.ts'
import { findMinio, minioMissing, type S3Target } from '../../servers/minio.ts'
import type { Server } from '../../servers/server.ts'
import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'
import { startMinioWithBucket } from '../../systems.ts'

const KIB = 1024
const MIB = 1024 * KIB
const sizes: readonly (readonly [string, number])[] = [
  ['1 KiB', KIB],
  ['64 KiB', 64 * KIB],
  ['1 MiB', MIB],
  ['16 MiB', 16 * MIB],
]
/** Objects of one size: enough for different keys, few enough for the RAM of both systems. */
const KEYS = 32
const LISTED = 10_000
const DELETED = 1_000
const ROUNDS = 3
const AT_LEAST = 1.5
const REACH_FOR = 3

type SystemName = 'gateway' | 'MinIO'

/** A server under measurement. `job` is that of Mayfly. */
interface System {
  readonly name: SystemName
  readonly server: Server
  readonly target: S3Target
  readonly job: RegisteredJob | null
  /** Sizes whose objects are stored. */
  readonly prepared: Set<number>
}

interface Row {
  readonly name: string
  /** How many operations, and seconds; null where the system does not have it. */
  readonly measure: (system: System) => Promise<Measured | null>
}

interface Measured {
  readonly calls: number
  readonly seconds: number
  readonly p99Ms: number
  readonly failures: number
}

interface Figures {
  readonly perSecond: number
  readonly p99Ms: number
  readonly serverCpu: number
  readonly clientCpu: number
}

export const gateway: Suite = {
  summary: 'the S3 gateway against MinIO: autocannon on presigned URLs, and the SDK of AWS',
  run: async (options) => {
    const systems = await startSystems(options)
    try {
      return await measure(systems, options)
    } finally {
      for (const { server } of systems) await server.stop()
    }
  },
}

async function startSystems({ say }: SuiteOptions): Promise<System[]> {
  const mayfly: MayflyServer = await startMayfly({ watchesStalls: false })
  const { job } = mayfly
  await job.createBucket(BUCKET)
  const target = { region: 'us-east-1', ...(await job.s3Credentials()) }
  const systems: System[] = [{ name: 'gateway', server: mayfly, target, job, prepared: new Set() }]
  if (findMinio() === null) say(minioMissing)
  else {
    const minio = await startMinioWithBucket()
    systems.push({
      name: 'MinIO',
      server: minio,
      target: JSON.parse(minio.target) as S3Target,
      job: null,
      prepared: new Set(),
    })
  }
  return systems
}

async function measure(systems: readonly System[], options: SuiteOptions): Promise<Report> {
  const { tiny, only, signal, say } = options
  const rows = rowsOf(tiny).filter(({ name }) => only === undefined || name.includes(only))
  const results = new Map<string, Map<string, Figures[]>>()
  const failures: string[] = []
  for (const row of rows) {
    const figures = new Map<string, Figures[]>()
    results.set(row.name, figures)
    for (let round = 0; round < (tiny ? 1 : ROUNDS); round++) {
      for (const system of round % 2 === 0 ? systems : systems.toReversed()) {
        signal.throwIfAborted()
        const cost = await costOf(system.server, () => row.measure(system))
        const { value, ...cpu } = cost
        if (value === null) continue
        if (value.failures > 0) failures.push(`${row.name}, ${system.name}: ${value.failures} calls failed`)
        const found = { perSecond: value.calls / value.seconds, p99Ms: value.p99Ms, ...cpu }
        figures.set(system.name, [...(figures.get(system.name) ?? []), found])
      }
    }
    say(
      `${row.name}: ${[...figures].map(([name, all]) => `${name} ${medianOf(all, 'perSecond').toFixed(0)}/s`).join(', ')}`,
    )
  }
  return reportOf(results, failures, tiny)
}

function reportOf(
  results: ReadonlyMap<string, ReadonlyMap<string, Figures[]>>,
  failures: string[],
  tiny: boolean,
): Report {
  const rows: (string | number)[][] = []
  const ratios: { row: string; ratio: number }[] = []
  for (const [row, figures] of results) {
    const minio = figures.get('MinIO')
    for (const [name, all] of figures) {
      const ratio = minio === undefined ? 0 : medianOf(all, 'perSecond') / medianOf(minio, 'perSecond')
      if (name === 'gateway' && minio !== undefined) ratios.push({ row, ratio })
      const cells = (['perSecond', 'p99Ms', 'serverCpu', 'clientCpu'] as const).map((column) =>
        Number(medianOf(all, column).toPrecision(4)),
      )
      rows.push([row, name, ...cells, name === 'gateway' ? Number(ratio.toFixed(2)) : ''])
    }
  }
  return {
    settings: { rounds: tiny ? 1 : ROUNDS, keys: KEYS, secondsPerRow: secondsOf(tiny) },
    columns: ['row', 'system', 'calls/s', 'p99 ms', 'server CPU s', 'client CPU s', 'times MinIO'],
    rows,
    goals: ratios.length === 0 ? [] : [goalOf(ratios)],
    notes: ratios.length === 0 ? [minioMissing] : [],
    failures,
    charts: [],
  }
}

/** Judged by the worst row. */
function goalOf(ratios: readonly { row: string; ratio: number }[]): Goal {
  const [worst] = [...ratios].sort((a, b) => a.ratio - b.ratio)
  const ratio = worst?.ratio ?? 0
  return {
    name: 'every row, against MinIO',
    atLeast: `${AT_LEAST}×`,
    reachFor: `${REACH_FOR}×`,
    measured: `${ratio.toFixed(2)}× (${worst?.row})`,
    verdict: ratio >= REACH_FOR ? 'reached' : ratio >= AT_LEAST ? 'holds' : 'FALLS SHORT',
  }
}

function medianOf(all: readonly Figures[], column: keyof Figures): number {
  return median(all.map((each) => each[column]))
}

async function costOf<Value>(server: Server, work: () => Promise<Value>) {
  const pids = await server.pids()
  const before = { server: await cpuSeconds(pids), client: process.cpuUsage() }
  const value = await work()
  const { user, system } = process.cpuUsage(before.client)
  return { value, serverCpu: (await cpuSeconds(pids)) - before.server, clientCpu: (user + system) / 1e6 }
}

/** Long enough that 64 objects of the size come through several times. */
function secondsOf(tiny: boolean, bytes = KIB): number {
  if (tiny) return 0.3
  return bytes < MIB ? 2 : bytes === MIB ? 5 : 20
}

function rowsOf(tiny: boolean): Row[] {
  const outstanding = tiny ? [4] : [1, 16, 64]
  const presigned = (tiny ? sizes.slice(0, 2) : sizes).flatMap(([title, bytes]) =>
    outstanding.flatMap((connections) =>
      (['PUT', 'GET'] as const).map((method) => ({
        name: `${title} ${method}, ${connections} outstanding`,
        measure: (system: System) =>
          cannon(system, { method, bytes, connections, seconds: secondsOf(tiny, bytes) }),
      })),
    ),
  )
  return [
    ...presigned,
    { name: '1 KiB HEAD by the SDK, 16 outstanding', measure: (system) => heads(system, secondsOf(tiny)) },
    { name: '1 KiB GET by the SDK, 16 outstanding', measure: (system) => gets(system, secondsOf(tiny)) },
    {
      name: `list of ${LISTED.toLocaleString('en')} keys by the SDK`,
      measure: (system) => lists(system, tiny ? 100 : LISTED),
    },
    {
      name: `DeleteObjects of ${DELETED.toLocaleString('en')} by the SDK`,
      measure: (system) => deletions(system, tiny ? 100 : DELETED),
    },
    {
      name: '1 KiB GET by the SDK of Mayfly, 16 outstanding',
      measure: (system) => direct(system, KIB, secondsOf(tiny)),
    },
    {
      name: '1 MiB GET by the SDK of Mayfly, 16 outstanding',
      measure: (system) => direct(system, MIB, secondsOf(tiny)),
    },
  ]
}

function keyOf(bytes: number, index: number): string {
  return `size-${bytes}/${index}`
}

interface Shot {
  readonly method: 'PUT' | 'GET'
  readonly bytes: number
  readonly connections: number
  readonly seconds: number
}

/** Each key has its own URL. */
async function cannon(system: System, { method, bytes, connections, seconds }: Shot): Promise<Measured> {
  const { target } = system
  if (method === 'GET') await prepare(system, bytes)
  const { default: autocannon } = await import('autocannon')
  const body = randomBytes(bytes)
  const requests = Array.from({ length: KEYS }, (_, index) => {
    const url = new URL(
      presignUrl(target, keyOf(bytes, index), { bucket: BUCKET, method, wallMs: Date.now() }),
    )
    return { method, path: url.pathname + url.search, ...(method === 'PUT' && { body }) }
  })
  const result = await autocannon({
    url: target.endpoint,
    connections,
    duration: seconds,
    requests,
    timeout: 30,
  })
  const { errors, non2xx, duration, latency } = result
  return { calls: result['2xx'], seconds: duration, p99Ms: latency.p99, failures: errors + non2xx }
}

function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: S3Target): S3Client {
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  })
}

/** Runs calls in lanes for a time. */
async function lanes(
  count: number,
  seconds: number,
  call: (index: number) => Promise<unknown>,
): Promise<Measured> {
  const times: number[] = []
  const beganMs = performance.now()
  const untilMs = beganMs + seconds * 1000
  const lane = async (first: number): Promise<void> => {
    for (let index = first; performance.now() < untilMs; index += count) {
      const fromMs = performance.now()
      await call(index % KEYS)
      times.push(performance.now() - fromMs)
    }
  }
  await Promise.all(Array.from({ length: count }, (_, index) => lane(index)))
  times.sort((a, b) => a - b)
  const p99Ms = times[Math.floor(times.length * 0.99)] ?? 0
  return { calls: times.length, seconds: (performance.now() - beganMs) / 1000, p99Ms, failures: 0 }
}

async function fill(s3: S3Client, prefix: string, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, index) => `${prefix}/${String(index).padStart(6, '0')}`)
  for (let from = 0; from < count; from += 64)
    await Promise.all(
      keys
        .slice(from, from + 64)
        .map((Key) => s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'x' }))),
    )
  return keys
}

/** Stores what reads find, once. */
async function prepare(system: System, bytes: number): Promise<S3Client> {
  const s3 = clientOf(system.target)
  if (system.prepared.has(bytes)) return s3
  const Body = randomBytes(bytes)
  for (let index = 0; index < KEYS; index++)
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: keyOf(bytes, index), Body }))
  system.prepared.add(bytes)
  return s3
}

async function heads(system: System, seconds: number): Promise<Measured> {
  const s3 = await prepare(system, KIB)
  return await lanes(16, seconds, (index) =>
    s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: keyOf(KIB, index) })),
  )
}

async function gets(system: System, seconds: number): Promise<Measured> {
  const s3 = await prepare(system, KIB)
  return await lanes(16, seconds, async (index) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: keyOf(KIB, index) }))
    await Body?.transformToByteArray()
  })
}

/** One listing, page by page; calls are keys. */
async function lists({ target }: System, count: number): Promise<Measured> {
  const s3 = clientOf(target)
  const Prefix = `listed-${count}/`
  const listed = async (): Promise<number> => {
    let keys = 0
    for (let ContinuationToken: string | undefined; ; ) {
      const token = ContinuationToken === undefined ? {} : { ContinuationToken }
      const page = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix, ...token }))
      keys += page.KeyCount ?? 0
      ContinuationToken = page.NextContinuationToken
      if (ContinuationToken === undefined) return keys
    }
  }
  if ((await listed()) !== count) await fill(s3, `listed-${count}`, count)
  const fromMs = performance.now()
  const keys = await listed()
  const ms = performance.now() - fromMs
  return { calls: keys, seconds: ms / 1000, p99Ms: ms, failures: count - keys }
}

/** One request; calls are keys. */
async function deletions({ target }: System, count: number): Promise<Measured> {
  const s3 = clientOf(target)
  const keys = await fill(s3, 'deleted', count)
  const fromMs = performance.now()
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true }
  const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket: BUCKET, Delete }))
  const ms = performance.now() - fromMs
  return { calls: count, seconds: ms / 1000, p99Ms: ms, failures: Errors.length }
}

/** What the gateway costs over the SDK itself: the same objects without it. */
async function direct({ job }: System, bytes: number, seconds: number): Promise<Measured | null> {
  if (job === null) return null
  await job.put(keyOf(bytes, 0), Buffer.alloc(bytes), { bucket: BUCKET })
  return await lanes(16, seconds, () => job.get(keyOf(bytes, 0), { bucket: BUCKET }))
}
