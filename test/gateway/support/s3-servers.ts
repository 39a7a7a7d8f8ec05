import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe } from 'vitest'
import { findMinio, minioMissing, type S3Target, startMinio } from '../../../bench/servers/minio.ts'
import type { RegisteredJob } from '../../../client/index.ts'
import { sharedCluster } from '../../fixture/mayfly-up.ts'

/** A real server of S3 that a suite runs against. */
export interface S3Server extends S3Target {
  readonly is: 'gateway' | 'minio'
}

/** In the environment of a cluster: its gateway shares its port among processes, on a machine with one core too. */
export const severalProcesses = { MAYFLY_GATEWAY_PROCESSES: '2' }

/** The bucket of a suite in use. */
let buckets = 0

/**
 * Runs the same suite against a gateway of a real cluster and against a real MinIO. If MinIO is not installed, that half is
 * skipped with a line that says so; in CI it fails.
 */
export function describeServers(name: string, suite: (server: () => S3Server) => void): void {
  describe(`${name}, on the gateway`, () => {
    let server: S3Server
    const cluster = sharedCluster(severalProcesses)
    let job: RegisteredJob
    afterAll(() => job?.close())
    beforeAll(async () => {
      const mayfly = await (await cluster()).connect()
      job = await mayfly.registerJob('suite', { capacityBytes: 512 * 2 ** 20 })
      const { endpoint, accessKeyId, secretAccessKey } = await job.s3Credentials()
      server = { is: 'gateway', endpoint, accessKeyId, secretAccessKey, region: 'us-east-1' }
    })
    suite(() => server)
  })
  const isMissing = findMinio() === null
  if (isMissing && process.env.CI !== 'true') process.stderr.write(`skipped: ${minioMissing}\n`)
  describe.skipIf(isMissing && process.env.CI !== 'true')(`${name}, on MinIO`, () => {
    let server: S3Server
    let stop = async (): Promise<void> => undefined
    beforeAll(async () => {
      const minio = await startMinio()
      stop = () => minio.stop()
      server = { is: 'minio', ...(JSON.parse(minio.target) as S3Target) }
    })
    afterAll(() => stop())
    suite(() => server)
  })
}

export function clientOf(
  { endpoint, region, accessKeyId, secretAccessKey }: S3Target,
  config: S3ClientConfig = {},
): S3Client {
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    ...config,
  })
}

/** A bucket that no other test uses. */
export function freshName(): string {
  return `bucket-${process.pid}-${++buckets}`
}

/** The code and status of the error that a call is answered with. */
export async function failureOf(
  call: Promise<unknown>,
): Promise<{ code: string; status: number | undefined }> {
  try {
    await call
  } catch (error) {
    const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } }
    return { code: name, status: $metadata?.httpStatusCode }
  }
  throw new Error('the call was not refused')
}
