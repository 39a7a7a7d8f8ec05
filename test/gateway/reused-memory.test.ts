import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { Cluster } from '../fixture/mayfly-up.ts'
import { clientOf, severalProcesses } from './support/s3-servers.ts'

const Bucket = 'default'
const KIB = 1024
const MIB = 1024 * KIB
const LANES = 12
const ROUNDS = 16
/** Around the bounds of reused memory, of one message and of a stream's chunks. */
const SIZES = [10 * KIB, 16 * KIB, 70 * KIB, MIB - 1, MIB, MIB + 1, 3 * MIB + 70 * KIB]

/** Each object begins with its key, and ends with the digest of all before. */
function objectOf(key: string, bytes: number): Buffer {
  const object = randomBytes(bytes)
  object.write(`${key}\n`)
  createHash('sha256')
    .update(object.subarray(0, -32))
    .digest()
    .copy(object, bytes - 32)
  return object
}

function isWhole(key: string, object: Buffer): boolean {
  const digest = createHash('sha256').update(object.subarray(0, -32)).digest()
  return object.subarray(0, key.length).toString() === key && digest.equals(object.subarray(-32))
}

test('bodies share memory one after the other: none has bytes of another, whatever clients do', async () => {
  const cluster = await Cluster.startSmall({ ramBytes: 256 * MIB, nodesMax: 1 }, { env: severalProcesses })
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('memory', { capacityBytes: 200 * MIB })
  onTestFinished(() => job.close())
  const s3 = clientOf({ region: 'us-east-1', ...(await job.s3Credentials()) })
  const failures: string[] = []

  /** Reads some of the body, slowly, and goes away. */
  async function drop(url: string, bytes: number): Promise<void> {
    const { body } = await fetch(url)
    const reader = body?.getReader()
    for (let read = 0; reader !== undefined && read < bytes; await sleep(1)) {
      const { value } = await reader.read()
      if (value === undefined) return
      read += value.length
    }
    await reader?.cancel()
  }

  /** Sends some of a body, and goes away. */
  async function dropPut(url: string, bytes: number): Promise<void> {
    const gone = new AbortController()
    const half = async function* () {
      yield Buffer.alloc(bytes / 2, 'x')
      gone.abort()
      yield Buffer.alloc(bytes / 2, 'x')
    }
    const body = half() as unknown as ReadableStream
    const request = { method: 'PUT', duplex: 'half', body, signal: gone.signal } as RequestInit
    await fetch(url, request).catch(() => undefined)
  }

  async function lane(lane: number): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = SIZES[(lane + round) % SIZES.length] as number
      const Key = `lane/${lane}/${round}`
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: objectOf(Key, bytes) }))
      const url = await job.presign(Key, { bucket: Bucket })
      const reads = [s3.send(new GetObjectCommand({ Bucket, Key })), drop(url, bytes / 3)] as const
      if (round % 4 === 0)
        await dropPut(await job.presign(`dropped/${lane}`, { bucket: Bucket, method: 'PUT' }), 2 * MIB)
      const [got] = await Promise.all(reads)
      const object = Buffer.from((await got.Body?.transformToByteArray()) ?? [])
      if (object.length !== bytes || !isWhole(Key, object)) failures.push(`${Key} of ${bytes} bytes`)
      const again = await job.get(Key, { bucket: Bucket })
      if (!again.equals(object)) failures.push(`${Key} is stored with other bytes`)
    }
  }

  await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)))
  expect(failures).toEqual([])
})
