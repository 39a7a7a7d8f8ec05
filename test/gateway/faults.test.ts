import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { Cluster } from '../fixture/mayfly-up.ts'
import { clientOf, failureOf, severalProcesses } from './support/s3-servers.ts'

const Bucket = 'default'
const MIB = 2 ** 20

async function clusterOfNodes() {
  const cluster = await Cluster.startSmall({ ramBytes: 128 * MIB, nodesMax: 6 }, { env: severalProcesses })
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('faults', { capacityBytes: 300 * MIB })
  onTestFinished(() => job.close())
  const credentials = { region: 'us-east-1', ...(await job.s3Credentials()) }
  return { cluster, job, credentials }
}

/**
 * Repeats what the SDK repeats, up to 15 times, and without the quota of 500 tokens that the SDK has for all calls of a
 * client: on a busy machine the calls of all lanes use that up before the gateway is there again.
 */
const patient: Extract<S3ClientConfig['retryStrategy'], { acquireInitialRetryToken: unknown }> = {
  acquireInitialRetryToken: async () => tokenOf(0),
  refreshRetryTokenForRetry: async (token, { errorType }) => {
    const count = token.getRetryCount()
    if (count === 14 || !['TRANSIENT', 'THROTTLING'].includes(errorType))
      throw new Error('it is not repeated')
    return tokenOf(count + 1, Math.random() * Math.min(5_000, 100 * 2 ** count))
  },
  recordSuccess: () => undefined,
}

function tokenOf(count: number, delayMs = 0) {
  return { getRetryCount: () => count, getRetryDelay: () => delayMs, getRetryCost: () => undefined }
}

/** Puts and gets until it is stopped; each key has the bytes of its last put. */
class Load {
  readonly failures: string[] = []
  done = 0
  readonly #s3: S3Client
  readonly #lanes: Promise<void>[]
  #stopped = false

  constructor(s3: S3Client, lanes = 6) {
    this.#s3 = s3
    this.#lanes = Array.from({ length: lanes }, (_, lane) => this.#run(lane))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#lanes)
  }

  async #run(lane: number): Promise<void> {
    for (let index = 0; !this.#stopped; index++) {
      const Key = `load/${lane}/${index % 20}`
      const bytes = index % 25 === 0 ? randomBytes(2 * MIB) : randomBytes(10_000)
      try {
        await this.#s3.send(new PutObjectCommand({ Bucket, Key, Body: bytes }))
        const got = await this.#s3.send(new GetObjectCommand({ Bucket, Key }))
        if (!bytes.equals((await got.Body?.transformToByteArray()) ?? bytes.subarray(1)))
          this.failures.push(`${Key} has other bytes`)
      } catch (error) {
        this.failures.push(`${(error as Error).name}: ${(error as Error).message}`)
      }
      this.done++
      // Without a pause the load would take the machine from the nodes that it waits for.
      await sleep(5)
    }
  }
}

/** Resolves when the load has gone on for so many calls. */
async function untilDone(load: Load, more: number): Promise<void> {
  const wanted = load.done + more
  await expect.poll(() => load.done, { timeout: 60_000 }).toBeGreaterThanOrEqual(wanted)
}

test('nodes are drained under load of the AWS SDK: it sees no error', async () => {
  const { cluster, job, credentials } = await clusterOfNodes()
  const load = new Load(clientOf(credentials))
  await untilDone(load, 50)
  const [node] = await cluster.nodesOf(job)
  await cluster.drain(node?.id ?? '')
  await cluster.event('node.stopped', node?.id ?? '')
  await untilDone(load, 50)
  await load.stop()
  expect(load.failures).toEqual([])
})

test('a gateway that is killed is started again: SDKs that repeat see no error, and an upload goes on', async () => {
  const { cluster, credentials } = await clusterOfNodes()
  const s3 = clientOf(credentials, { retryStrategy: patient })
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'upload' }))
  const part = { Bucket, Key: 'upload', UploadId }
  const first = randomBytes(5 * MIB)
  const one = await s3.send(new UploadPartCommand({ ...part, PartNumber: 1, Body: first }))
  const load = new Load(s3)
  await untilDone(load, 30)
  const gateway = (await cluster.processes()).find(({ plane }) => plane === 'gateway')
  process.kill(gateway?.pid ?? 0, 'SIGKILL')
  await untilDone(load, 50)
  await load.stop()
  expect(load.failures).toEqual([])
  const two = await s3.send(new UploadPartCommand({ ...part, PartNumber: 2, Body: Buffer.from('end') }))
  const Parts = [one, two].map(({ ETag }, index) => ({ ETag, PartNumber: index + 1 }))
  await s3.send(new CompleteMultipartUploadCommand({ ...part, MultipartUpload: { Parts } }))
  expect((await s3.send(new HeadObjectCommand({ Bucket, Key: 'upload' }))).ContentLength).toBe(5 * MIB + 3)
})

test('objects of a node that died are 410 ObjectLost, never 404, and puts under way end', async () => {
  const { cluster, job, credentials } = await clusterOfNodes()
  const s3 = clientOf(credentials)
  const keys = Array.from({ length: 60 }, (_, index) => `lost/${index}`)
  await Promise.all(keys.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))))
  const load = new Load(s3)
  await untilDone(load, 30)
  const [node] = await cluster.nodesOf(job)
  process.kill(node?.pid ?? 0, 'SIGKILL')
  await cluster.event('node.lost', node?.id ?? '')
  await untilDone(load, 50)
  await load.stop()
  // What was read after its node had died was lost; nothing else fails, and no put for good.
  expect(load.failures.filter((failure) => !failure.startsWith('ObjectLost'))).toEqual([])
  const outcomes = await Promise.all(
    keys.map(async (Key) => {
      try {
        const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
        return (await got.Body?.transformToString()) === Key ? 'there' : 'other bytes'
      } catch (error) {
        const { name, $metadata } = error as Error & { $metadata: { httpStatusCode: number } }
        return `${$metadata.httpStatusCode} ${name}`
      }
    }),
  )
  expect([...new Set(outcomes)].sort()).toEqual(['410 ObjectLost', 'there'])
  expect(await failureOf(s3.send(new ListObjectsV2Command({ Bucket })))).toEqual({
    code: 'ObjectLost',
    status: 410,
  })
  const lost = keys[outcomes.indexOf('410 ObjectLost')] ?? ''
  await s3.send(new PutObjectCommand({ Bucket, Key: lost, Body: 'again', IfNoneMatch: '*' }))
  expect(await (await s3.send(new GetObjectCommand({ Bucket, Key: lost }))).Body?.transformToString()).toBe(
    'again',
  )
})
