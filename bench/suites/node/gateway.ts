import type { S3Client } from '@aws-sdk/client-s3'
import { presignUrl } from '../../../client/presign.ts'
import { missingLibrary } from '../../clients/open.ts'
import { Entrant } from '../../load/entrant.ts'
import { formatBytes } from '../../report/chart.ts'
import { type Group, type Row, suiteOf } from '../../report/comparison.ts'
import {
  CALLS_PER_SECOND,
  callColumns,
  MEGABYTES_PER_SECOND,
  type Measurement,
  measureCalls,
  P50_MS,
  P99_MS,
} from '../../report/measurement.ts'
import type { MayflyServer } from '../../servers/mayfly.ts'
import { BUCKET, type S3Target } from '../../servers/minio.ts'
import { keyOf } from '../../tasks/calls.ts'
import { type Lanes, runLanes } from '../../tasks/lanes.ts'
import type { PresignedParams } from '../../tasks/presigned.ts'

type Aws = typeof import('@aws-sdk/client-s3')

const KIB = 1024
const MIB = 1024 * KIB
const SIZES = [KIB, 64 * KIB, MIB, 16 * MIB]
const DEPTHS = [1, 16, 64]
/** Beside raw sockets autocannon measures these: from 16 MiB on it is the slowest part. */
const CANNON_BYTES_MAX = MIB
const CANNON_DEPTH = 16
/** Objects of one size: enough for different keys, few enough for the RAM of both systems. */
const OBJECTS = 32
const LISTED = 10_000
const DELETED = 1_000
const BY_MAYFLY = 'by the SDK of Mayfly'

export const gateway = suiteOf({
  summary: 'the S3 gateway against MinIO: presigned URLs by raw sockets and autocannon, and the SDK of AWS',
  systems: ['mayfly', 's3'],
  rounds: { full: 3, tiny: 1 },
  columns: callColumns,
  judgedBy: CALLS_PER_SECOND,
  // Objects are put by the SDK of AWS. A note says if it is missing.
  groups: (isTiny) =>
    missingLibrary('s3') === null
      ? [
          ...(isTiny ? SIZES.slice(0, 2) : SIZES).map((bytes) => presignedGroup(bytes, isTiny)),
          sdkGroup(isTiny),
        ]
      : [],
  goals: [
    {
      name: 'every row, against MinIO',
      rows: (row) => !row.includes(BY_MAYFLY),
      column: CALLS_PER_SECOND,
      against: ['s3'],
      atLeast: 1.5,
      reachFor: 3,
    },
  ],
})

/** Long enough that 64 objects of the size come through several times. */
function timesOf(isTiny: boolean, objectBytes: number): Omit<Lanes, 'outstanding'> {
  if (isTiny) return { ms: 300, warmUpMs: 50 }
  if (objectBytes < MIB) return { ms: 2_000, warmUpMs: 500 }
  return { ms: objectBytes === MIB ? 4_000 : 10_000, warmUpMs: 1_000 }
}

/** The S3 API of the entrant. */
async function targetOf({ system, server }: Entrant): Promise<S3Target> {
  if (system !== 'mayfly') return JSON.parse(server.target) as S3Target
  return { region: 'us-east-1', ...(await (server as MayflyServer).job.s3Credentials()) }
}

/** Processes that use the entrant's server by the SDK of AWS, or by presigned URLs. */
async function withS3<Result>(
  entrant: Entrant,
  work: (s3: Entrant, target: S3Target) => Promise<Result>,
): Promise<Result> {
  const target = await targetOf(entrant)
  const s3 = new Entrant('s3', { ...entrant.server, target: JSON.stringify(target) })
  try {
    return await work(s3, target)
  } finally {
    await s3.endDrivers()
  }
}

async function fill(entrant: Entrant, objectBytes: number): Promise<void> {
  if (entrant.system === 'mayfly') await (entrant.server as MayflyServer).job.createBucket(BUCKET)
  await withS3(entrant, (s3) => s3.run('fill', { objects: OBJECTS, objectBytes, outstanding: 16 }))
}

function presignedGroup(objectBytes: number, isTiny: boolean): Group {
  const shots = (isTiny ? [4] : DEPTHS).flatMap((outstanding) =>
    (['PUT', 'GET'] as const).map((method) => ({
      method,
      outstanding,
      objectBytes,
      ...timesOf(isTiny, objectBytes),
    })),
  )
  const forCannon = shots.filter(
    ({ outstanding }) => objectBytes <= CANNON_BYTES_MAX && (isTiny || outstanding === CANNON_DEPTH),
  )
  return {
    setUp: (entrant) => fill(entrant, objectBytes),
    rows: [...shots.map((shot) => rowOf(shot, bySockets)), ...forCannon.map((shot) => rowOf(shot, byCannon))],
  }
}

type Shot = Omit<PresignedParams, 'urls'>
type By = {
  readonly name: string
  readonly measure: (s3: Entrant, params: PresignedParams) => Promise<Measurement>
}

const bySockets: By = {
  name: '',
  measure: (s3, params) => measureCalls(s3, () => s3.run('presigned', params)),
}

const byCannon: By = {
  name: ' by autocannon',
  measure: async (s3, params) => {
    const { value, cost } = await s3.costOf(() => s3.run('cannon', params))
    const { calls, seconds, p50Ms, p99Ms, failed } = value
    return {
      ...cost,
      figures: {
        [CALLS_PER_SECOND]: calls / seconds,
        [MEGABYTES_PER_SECOND]: (calls * params.objectBytes) / seconds / 1e6,
        [P50_MS]: p50Ms,
        [P99_MS]: p99Ms,
      },
      failures: failed === 0 ? [] : [`${failed} requests failed`],
    }
  },
}

function rowOf(shot: Shot, by: By): Row {
  const { method, objectBytes, outstanding } = shot
  return {
    name: `${formatBytes(objectBytes)} ${method} at ${outstanding}${by.name}`,
    measure: (entrant) =>
      withS3(entrant, async (s3, target) => {
        const urls = Array.from({ length: OBJECTS }, (_, index) =>
          presignUrl(target, keyOf(objectBytes, index), { bucket: BUCKET, method, wallMs: Date.now() }),
        )
        return await by.measure(s3, { ...shot, urls })
      }),
  }
}

function sdkGroup(isTiny: boolean): Group {
  const lanes = { outstanding: 16, ...timesOf(isTiny, KIB) }
  const listed = isTiny ? 100 : LISTED
  const deleted = isTiny ? 100 : DELETED
  const get = { ...lanes, operation: 'get', objects: OBJECTS } as const
  return {
    setUp: async (entrant) => {
      await fill(entrant, KIB)
      await withClient(entrant, (s3, aws) => putKeys(s3, aws, { prefix: 'listed', count: listed }))
      if (entrant.system !== 'mayfly') return
      for (const objectBytes of [KIB, MIB])
        await entrant.run('fill', { objects: OBJECTS, objectBytes, outstanding: 16 })
    },
    rows: [
      { name: '1 KiB HEAD at 16 by the SDK of AWS', measure: (entrant) => heads(entrant, lanes) },
      {
        name: '1 KiB GET at 16 by the SDK of AWS',
        measure: (entrant) =>
          withS3(entrant, (s3) => measureCalls(s3, () => s3.run('calls', { ...get, objectBytes: KIB }))),
      },
      { name: `list of ${listed.toLocaleString('en')} keys`, measure: (entrant) => lists(entrant, listed) },
      {
        name: `DeleteObjects of ${deleted.toLocaleString('en')} keys`,
        measure: (entrant) => deletions(entrant, deleted),
      },
      // What the gateway costs: the same cluster without it.
      ...[KIB, MIB].map((objectBytes) => ({
        name: `${formatBytes(objectBytes)} GET at 16 ${BY_MAYFLY}`,
        measure: async (entrant: Entrant): Promise<Measurement> =>
          entrant.system === 'mayfly'
            ? await measureCalls(entrant, () => entrant.run('calls', { ...get, objectBytes }))
            : notMeasured,
      })),
    ],
  }
}

const notMeasured: Measurement = { figures: {}, clientCpuSeconds: 0, serverCpuSeconds: 0, failures: [] }

/** With a client of S3 in this process, and the library that it is of. */
async function withClient<Result>(
  entrant: Entrant,
  work: (s3: S3Client, aws: Aws) => Promise<Result>,
): Promise<Result> {
  const [{ connect }, aws] = await Promise.all([import('../../clients/s3.ts'), import('@aws-sdk/client-s3')])
  const s3 = connect(JSON.stringify(await targetOf(entrant)))
  try {
    return await work(s3, aws)
  } finally {
    s3.destroy()
  }
}

/** As `measureCalls`, with this process as the client. */
async function inProcess(work: () => Promise<Measurement>): Promise<Measurement> {
  const before = process.cpuUsage()
  const measured = await work()
  const { user, system } = process.cpuUsage(before)
  return { ...measured, clientCpuSeconds: (user + system) / 1e6 }
}

async function putKeys(
  s3: S3Client,
  aws: Aws,
  { prefix, count }: { prefix: string; count: number },
): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, index) => `${prefix}/${String(index).padStart(6, '0')}`)
  for (let from = 0; from < count; from += 64)
    await Promise.all(
      keys
        .slice(from, from + 64)
        .map((Key) => s3.send(new aws.PutObjectCommand({ Bucket: BUCKET, Key, Body: 'x' }))),
    )
  return keys
}

function heads(entrant: Entrant, lanes: Lanes): Promise<Measurement> {
  return withClient(entrant, (s3, aws) =>
    inProcess(() =>
      measureCalls(entrant, () =>
        runLanes(lanes, async () => {
          const Key = keyOf(KIB, Math.floor(Math.random() * OBJECTS))
          await s3.send(new aws.HeadObjectCommand({ Bucket: BUCKET, Key }))
          return 0
        }),
      ),
    ),
  )
}

/** One listing, page by page; calls are keys. */
function lists(entrant: Entrant, count: number): Promise<Measurement> {
  return withClient(entrant, (s3, aws) =>
    keysPerSecond(entrant, count, async () => {
      let keys = 0
      for (let token: string | undefined; ; ) {
        const from = token === undefined ? {} : { ContinuationToken: token }
        const page = await s3.send(
          new aws.ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'listed/', ...from }),
        )
        keys += page.KeyCount ?? 0
        token = page.NextContinuationToken
        if (token === undefined) return keys
      }
    }),
  )
}

/** One request; calls are keys. */
function deletions(entrant: Entrant, count: number): Promise<Measurement> {
  return withClient(entrant, async (s3, aws) => {
    const keys = await putKeys(s3, aws, { prefix: 'deleted', count })
    return await keysPerSecond(entrant, count, async () => {
      const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true }
      const { Errors = [] } = await s3.send(new aws.DeleteObjectsCommand({ Bucket: BUCKET, Delete }))
      return count - Errors.length
    })
  })
}

/** `work` resolves with the number of keys that it came by. */
function keysPerSecond(entrant: Entrant, count: number, work: () => Promise<number>): Promise<Measurement> {
  return inProcess(async () => {
    const beganMs = performance.now()
    const { value, cost } = await entrant.costOf(work)
    const seconds = (performance.now() - beganMs) / 1000
    const failures = value === count ? [] : [`${value} of ${count} keys`]
    return { ...cost, figures: { [CALLS_PER_SECOND]: value / seconds }, failures }
  })
}
