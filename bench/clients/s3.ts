import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { BUCKET, type S3Target } from '../servers/minio.ts'
import { type Client, type Entry, TAKE_SECONDS_MAX } from './client.ts'

/** The largest number of calls that a suite has under way, so that no call waits for a socket. */
const SOCKETS_MAX = 256
/** A client that waits on S3 polls. A shorter interval would answer sooner and cost the server more. */
const POLL_MS = 5

/** The target is the JSON of an `S3Target`; `createBucket` must have been called on that server. */
export async function open(target: string): Promise<Client> {
  return new S3StoreClient(connect(target))
}

export async function createBucket(target: string): Promise<void> {
  const client = connect(target)
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  client.destroy()
}

/** Connections are reused. Optional checksums are off, as the other systems compute none. */
export function connect(target: string): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = JSON.parse(target) as S3Target
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { httpAgent: { keepAlive: true, maxSockets: SOCKETS_MAX } },
  })
}

class S3StoreClient implements Client {
  readonly #s3: S3Client

  constructor(s3: S3Client) {
    this.#s3 = s3
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    await this.#s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytes }))
  }

  async get(key: string): Promise<Buffer> {
    const { Body } = await this.#s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))
    if (Body === undefined) throw new Error(`the answer for ${key} has no body`)
    const { buffer, byteOffset, length } = await Body.transformToByteArray()
    return Buffer.from(buffer, byteOffset, length)
  }

  async putMany(entries: readonly Entry[]): Promise<void> {
    await Promise.all(entries.map(({ key, bytes }) => this.put(key, bytes)))
  }

  getMany(keys: readonly string[]): Promise<Buffer[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }

  async delete(key: string): Promise<void> {
    await this.#s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }))
  }

  give(key: string, bytes: Buffer): Promise<void> {
    return this.put(key, bytes)
  }

  async take(key: string): Promise<Buffer> {
    for (const endMs = performance.now() + 1000 * TAKE_SECONDS_MAX; ; ) {
      try {
        return await this.get(key)
      } catch (error) {
        if (!(error instanceof NoSuchKey) || performance.now() > endMs) throw error
        await sleep(POLL_MS)
      }
    }
  }

  async close(): Promise<void> {
    this.#s3.destroy()
  }
}
