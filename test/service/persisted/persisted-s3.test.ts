import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { PersistedS3 } from '../../../service/persisted/persisted-s3.ts'
import { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { S3_PART_BYTES } from '../../../service/s3/s3-limits.ts'
import type { S3Settings } from '../../../service/s3/s3-settings.ts'
import { sharedS3, startFaults } from '../../fixture/s3.ts'
import { persistedContract } from './persisted-contract.ts'

const startS3 = sharedS3()
const { clock } = systemRuntime

function openBucket(settings: S3Settings): S3Bucket {
  const bucket = new S3Bucket(settings, clock)
  onTestFinished(() => bucket.close())
  return bucket
}

persistedContract('on S3', async (context) => {
  const settings = await startS3(context)
  return async (virtualClock) => new PersistedS3(openBucket(settings), virtualClock)
})

test('an object is a plain one under job, bucket and key', async (context) => {
  const bucket = openBucket(await startS3(context))
  async function* once(): AsyncGenerator<Buffer> {
    yield Buffer.from('plain')
  }
  const name = { job: 'j-a', bucket: 'out', key: 'x/y.txt' }
  const object = { bytes: 5, expiresAtMs: 0, about: Buffer.alloc(0), stamp: { bucketId: 0, version: 1 } }
  await new PersistedS3(bucket, clock).put(name, object, once())
  expect((await bucket.get('kept/j-a/out/x/y.txt')).toString()).toBe('plain')
})

const name = { job: 'j-a', bucket: 'out', key: 'x' }

function objectOf(content: string, version: number) {
  const stamp = { bucketId: 0, version }
  return { bytes: content.length, expiresAtMs: 0, about: Buffer.alloc(0), stamp }
}

async function* piecesOf(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

/** A store behind a proxy with faults, and the same store without it. */
async function behindFaults(settings: S3Settings) {
  const faults = await startFaults(settings)
  const put = (store: PersistedS3, content: string, version: number, isNew = false) =>
    store.put(name, objectOf(content, version), piecesOf(content), { isNew })
  const content = async (store: PersistedS3) => {
    const found = await store.stat(name)
    return found === null ? null : String(await store.get(name, { offset: 0, length: found.bytes }))
  }
  return {
    faults,
    behind: new PersistedS3(openBucket(faults.settings), clock),
    plain: new PersistedS3(openBucket(settings), clock),
    put,
    content,
  }
}

test.for(['applyAndFail', 'applyAndClose'] as const)(
  'I16: a put and a removal that were carried out and then failed (%s) count as carried out',
  async (how, context) => {
    const { faults, behind, plain, put, content } = await behindFaults(await startS3(context))
    faults[how] = ['PUT']
    await put(behind, 'first', 1, true)
    expect(await content(plain)).toBe('first')
    await put(behind, 'second', 2)
    expect(await content(plain)).toBe('second')
    faults[how] = ['DELETE']
    await behind.remove(name, { bucketId: 0, version: 3 })
    expect(await content(plain)).toBeNull()
  },
)

test('a put that failed without being carried out is made again, and one that always fails leaves what was there', async (context) => {
  const { faults, behind, plain, put, content } = await behindFaults(await startS3(context))
  Object.assign(faults, { refuse: ['PUT'], refusals: 1 })
  await put(behind, 'first', 1, true)
  expect(await content(plain)).toBe('first')
  faults.refusals = Number.POSITIVE_INFINITY
  await expect(put(behind, 'second', 2)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await content(plain)).toBe('first')
})

test('where nobody can look what became of a put, its outcome is unknown; where it was never sent, it is not', async (context) => {
  const { faults, behind, plain, put, content } = await behindFaults(await startS3(context))
  Object.assign(faults, { applyAndClose: ['PUT'], refuse: ['HEAD'] })
  await expect(put(behind, 'first', 1, true)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(await content(plain)).toBe('first')
  const nowhere = new PersistedS3(openBucket({ ...faults.settings, endpoint: 'http://127.0.0.1:9' }), clock)
  await expect(put(nowhere, 'second', 2, true)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test.for([5, S3_PART_BYTES, S3_PART_BYTES + 5])(
  'I16: a put of %i bytes of an old owner that lands after the put of the new one replaces nothing',
  async (bytes, context) => {
    const { faults, behind, plain, put, content } = await behindFaults(await startS3(context))
    await put(plain, 'before', 1, true)
    let land = (): void => undefined
    const until = new Promise<void>((resolve) => {
      land = resolve
    })
    // For a multipart upload, the request that completes it makes the object visible.
    faults.hold = { matches: bytes > S3_PART_BYTES ? /^POST .*uploadId=/ : /^PUT/, until }
    const late = put(behind, 'o'.repeat(bytes), 2).catch((error) => error.code)
    await expect.poll(() => faults.held).toBeGreaterThan(0)
    await put(plain, 'new owner', 2 ** 32)
    expect(await late).toBe('STALE_PLACEMENT')
    land()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await content(plain)).toBe('new owner')
  },
)

test('a listing whose pages do not lead on fails', async (context) => {
  const bucket = openBucket(await startS3(context))
  for (const key of ['a', 'b', 'c']) await bucket.put(key, Buffer.from(key))
  const { next } = await bucket.list({ prefix: '', after: null, limit: 2 })
  expect(next).not.toBeNull()
  const stuck = { token: next?.token ?? '', key: 'z' }
  await expect(bucket.list({ prefix: '', after: stuck, limit: 2 })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining("do not follow 'z'"),
  })
})

test('keys that XML cannot carry are listed as they are, and deleted with all others', async (context) => {
  const bucket = openBucket(await startS3(context))
  const keys = ['plain', 'control\u0001', 'none\ufffe', 'none\uffff', 'return\r', 'a b+c%20', 'ü'].toSorted(
    (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)),
  )
  for (const key of keys) await bucket.put(key, Buffer.from(key))
  const listed = await bucket.list({ prefix: '', after: null, limit: 10 })
  expect(listed.entries.map(({ key }) => key)).toEqual(keys)
  await bucket.deletePrefix('')
  expect((await bucket.list({ prefix: '', after: null, limit: 10 })).entries).toEqual([])
})
