import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3'
import { beforeAll, expect, test } from 'vitest'
import { clientOf, describeServers, failureOf, freshName, type S3Server } from './support/s3-servers.ts'

const MIB = 2 ** 20

describeServers('objects by @aws-sdk/client-s3', (server: () => S3Server) => {
  let s3: S3Client
  const Bucket = freshName()
  const put = (
    Key: string,
    Body: PutObjectCommandInput['Body'] = 'some bytes',
    more: Partial<PutObjectCommandInput> = {},
  ) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))
  const get = async (Key: string, more: object = {}) => {
    const answer = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))
    return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) }
  }

  beforeAll(async () => {
    s3 = clientOf(server())
    await s3.send(new CreateBucketCommand({ Bucket }))
  })

  test.each([0, 1, 1000, MIB, MIB + 1, 9 * MIB])(
    'an object of %i bytes comes back with its length and MD5',
    async (length) => {
      const bytes = Buffer.alloc(length, 'abcdefg')
      const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
      expect((await put(`sized/${length}`, bytes)).ETag).toBe(etag)
      const got = await get(`sized/${length}`)
      expect(got.bytes.equals(bytes)).toBe(true)
      expect(got).toMatchObject({ ETag: etag, ContentLength: length, AcceptRanges: 'bytes' })
      expect(Date.now() - (got.LastModified?.getTime() ?? 0)).toBeLessThan(60_000)
    },
  )

  test('a body of unknown pieces is stored as a stream, with a trailing checksum', async () => {
    const pieces = Array.from({ length: 50 }, (_, index) => Buffer.alloc(100_000, String(index)))
    const Body = Readable.from(pieces)
    await put('streamed', Body, { ContentLength: 5_000_000, ChecksumAlgorithm: 'CRC32C' })
    expect((await get('streamed')).bytes.equals(Buffer.concat(pieces))).toBe(true)
  })

  test.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
    '%s is verified, kept and returned',
    async (algorithm) => {
      const stored = await put(`checked/${algorithm}`, 'checked bytes', { ChecksumAlgorithm: algorithm })
      const sent = stored[`Checksum${algorithm}` as const]
      expect(sent).toMatch(/^[\w+/]+=*$/)
      const got = await get(`checked/${algorithm}`, { ChecksumMode: 'ENABLED' })
      expect(got[`Checksum${algorithm}`]).toBe(sent)
      expect(got.ChecksumType).toBe('FULL_OBJECT')
      const wrong = {
        [`Checksum${algorithm}`]: Buffer.alloc(Buffer.from(sent ?? '', 'base64').length).toString('base64'),
      }
      const refused = await failureOf(put(`refused/${algorithm}`, 'checked bytes', wrong))
      expect(refused.status).toBe(400)
      expect(['BadDigest', 'XAmzContentChecksumMismatch', 'InvalidRequest']).toContain(refused.code)
      expect(await failureOf(get(`refused/${algorithm}`))).toEqual({ code: 'NoSuchKey', status: 404 })
    },
  )

  test('Content-MD5 is verified', async () => {
    const ContentMD5 = createHash('md5').update('other bytes').digest('base64')
    expect(await failureOf(put('md5', 'some bytes', { ContentMD5 }))).toEqual({
      code: 'BadDigest',
      status: 400,
    })
    expect((await failureOf(put('md5', 'some bytes', { ContentMD5: 'AAAA' }))).code).toBe('InvalidDigest')
    await put('md5', 'other bytes', { ContentMD5 })
  })

  test('metadata and content headers come back', async () => {
    const headers = {
      CacheControl: 'max-age=60',
      ContentDisposition: 'attachment; filename="a.txt"',
      ContentEncoding: 'gzip',
      ContentLanguage: 'de',
      ContentType: 'text/plain',
      Metadata: { color: 'red', 'two-words': 'a b  c' },
    }
    await put('described', 'x', headers)
    expect(await s3.send(new HeadObjectCommand({ Bucket, Key: 'described' }))).toMatchObject(headers)
    await put('plain', 'x')
    const { ContentType, Metadata } = await s3.send(new HeadObjectCommand({ Bucket, Key: 'plain' }))
    expect({ ContentType, Metadata }).toEqual({ ContentType: 'application/octet-stream', Metadata: {} })
  })

  test('too much metadata is refused', async () => {
    const refused = await failureOf(put('large-metadata', 'x', { Metadata: { a: 'x'.repeat(2100) } }))
    expect(refused).toEqual({ code: 'MetadataTooLarge', status: 400 })
  })

  test('response headers can be overridden', async () => {
    await put('overridden', 'x', { ContentType: 'text/plain' })
    const got = await get('overridden', {
      ResponseContentType: 'text/html',
      ResponseCacheControl: 'no-store',
    })
    expect(got).toMatchObject({ ContentType: 'text/html', CacheControl: 'no-store' })
  })

  test.each([
    ['bytes=0-3', 'bytes 0-3/10', 'some'],
    ['bytes=5-', 'bytes 5-9/10', 'bytes'],
    ['bytes=-5', 'bytes 5-9/10', 'bytes'],
    ['bytes=-100', 'bytes 0-9/10', 'some bytes'],
    ['bytes=8-100', 'bytes 8-9/10', 'es'],
  ])('%s is answered with %s', async (Range, ContentRange, text) => {
    await put('ranged')
    const got = await get('ranged', { Range })
    expect(got.bytes.toString()).toBe(text)
    expect(got).toMatchObject({
      ContentRange,
      ContentLength: text.length,
      $metadata: { httpStatusCode: 206 },
    })
  })

  test('a range of a large object is read alone', async () => {
    const bytes = Buffer.alloc(5 * MIB, 'abcdefg')
    await put('large-ranged', bytes)
    const got = await get('large-ranged', { Range: `bytes=${MIB - 1}-${4 * MIB}` })
    expect(got.bytes.equals(bytes.subarray(MIB - 1, 4 * MIB + 1))).toBe(true)
  })

  test('a range behind the end is InvalidRange', async () => {
    await put('ranged')
    expect(await failureOf(get('ranged', { Range: 'bytes=10-' }))).toEqual({
      code: 'InvalidRange',
      status: 416,
    })
  })

  test('conditions of reads hold', async () => {
    const { ETag } = await put('conditional')
    const past = new Date(Date.now() - 3_600_000)
    const future = new Date(Date.now() + 3_600_000)
    expect((await get('conditional', { IfMatch: ETag })).ETag).toBe(ETag)
    expect(await failureOf(get('conditional', { IfMatch: '"other"' }))).toEqual({
      code: 'PreconditionFailed',
      status: 412,
    })
    expect((await failureOf(get('conditional', { IfNoneMatch: ETag }))).status).toBe(304)
    expect((await get('conditional', { IfNoneMatch: '"other"' })).ETag).toBe(ETag)
    expect((await failureOf(get('conditional', { IfModifiedSince: future }))).status).toBe(304)
    expect((await get('conditional', { IfModifiedSince: past })).ETag).toBe(ETag)
    expect((await failureOf(get('conditional', { IfUnmodifiedSince: past }))).status).toBe(412)
    expect((await get('conditional', { IfUnmodifiedSince: future })).ETag).toBe(ETag)
  })

  test('conditions of puts hold', async () => {
    const { ETag } = await put('once', 'first', { IfNoneMatch: '*' })
    expect(await failureOf(put('once', 'second', { IfNoneMatch: '*' }))).toEqual({
      code: 'PreconditionFailed',
      status: 412,
    })
    const second = await put('once', 'second', { IfMatch: ETag ?? '' })
    expect(await failureOf(put('once', 'third', { IfMatch: ETag ?? '' }))).toEqual({
      code: 'PreconditionFailed',
      status: 412,
    })
    expect((await get('once')).ETag).toBe(second.ETag)
    expect((await failureOf(put('never', 'x', { IfMatch: '"a"' }))).code).toBe('NoSuchKey')
  })

  test('of 20 conditional puts at once exactly one succeeds', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => put('raced', `put ${index}`, { IfNoneMatch: '*' })),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test.each([
    'a b+c&d=e?f#g',
    'é/日本/\u{1f600}',
    'a//b',
    '/a',
    'a/',
    'quote\'"<>&',
    'percent%41%2F',
    'e\u0301',
    '\u00e9',
    'x'.repeat(1024),
  ])('the key %j is kept as it is', async (Key) => {
    const isRefused =
      server().is === 'minio' && (Key.includes('//') || Key.length > 255 || Key.startsWith('/'))
    if (isRefused) return
    await put(Key, `bytes of ${Key}`)
    expect((await get(Key)).bytes.toString()).toBe(`bytes of ${Key}`)
    await s3.send(new DeleteObjectCommand({ Bucket, Key }))
    expect((await failureOf(get(Key))).code).toBe('NoSuchKey')
  })

  test('a missing object, a missing bucket and a key that is too long have their own errors', async () => {
    expect(await failureOf(get('missing'))).toEqual({ code: 'NoSuchKey', status: 404 })
    expect((await failureOf(s3.send(new HeadObjectCommand({ Bucket, Key: 'missing' })))).status).toBe(404)
    const other = s3.send(new GetObjectCommand({ Bucket: 'no-such-bucket', Key: 'a' }))
    expect(await failureOf(other)).toEqual({ code: 'NoSuchBucket', status: 404 })
    const code = server().is === 'minio' ? 'XMinioInvalidObjectName' : 'KeyTooLongError'
    expect([code, 'KeyTooLongError']).toContain((await failureOf(put('x'.repeat(1025)))).code)
  })

  test('deletions succeed, also of what is not there', async () => {
    await put('deleted')
    for (const _ of [1, 2])
      expect(
        (await s3.send(new DeleteObjectCommand({ Bucket, Key: 'deleted' }))).$metadata.httpStatusCode,
      ).toBe(204)
    expect((await failureOf(get('deleted'))).code).toBe('NoSuchKey')
  })

  test('DeleteObjects deletes up to 1,000 keys, with their names in XML', async () => {
    const keys = ['<&">', 'é', 'a\tb', ...Array.from({ length: 20 }, (_, index) => `many/${index}`)]
    await Promise.all(keys.map((key) => put(key)))
    const Objects = [...keys, 'not-there'].map((Key) => ({ Key }))
    const { Deleted, Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    expect(Errors).toBeUndefined()
    expect(Deleted?.map(({ Key }) => Key).sort()).toEqual(Objects.map(({ Key }) => Key).sort())
    const quiet = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
    expect(quiet.Deleted).toBeUndefined()
    const tooMany = Array.from({ length: 1001 }, (_, index) => ({ Key: `${index}` }))
    expect(
      (await failureOf(s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: tooMany } })))).code,
    ).toBe('MalformedXML')
  })

  test('a copy has the bytes of its source, and its metadata or other ones', async () => {
    const bytes = Buffer.alloc(3 * MIB, 'copied')
    const { ETag } = await put('source é', bytes, { Metadata: { a: '1' }, ContentType: 'text/plain' })
    const CopySource = encodeURIComponent(`${Bucket}/source é`)
    const copied = await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource }))
    expect(copied.CopyObjectResult?.ETag).toBe(ETag)
    const expectCopy = async (key: string, described: object): Promise<void> => {
      const copy = await get(key)
      expect(copy).toMatchObject(described)
      expect(copy.bytes.equals(bytes)).toBe(true)
    }
    await expectCopy('copy', { Metadata: { a: '1' }, ContentType: 'text/plain' })
    const replaced = { Metadata: { b: '2' }, MetadataDirective: 'REPLACE', ContentType: 'text/html' } as const
    await s3.send(new CopyObjectCommand({ Bucket, Key: 'source é', CopySource, ...replaced }))
    await expectCopy('source é', { Metadata: { b: '2' }, ContentType: 'text/html' })
  })

  test('a copy onto itself has to change something, and its conditions hold', async () => {
    const { ETag } = await put('itself')
    const CopySource = `${Bucket}/itself`
    expect(
      (await failureOf(s3.send(new CopyObjectCommand({ Bucket, Key: 'itself', CopySource })))).code,
    ).toBe('InvalidRequest')
    const copy = (more: object) =>
      s3.send(new CopyObjectCommand({ Bucket, Key: 'copied-if', CopySource, ...more }))
    expect((await failureOf(copy({ CopySourceIfMatch: '"other"' }))).code).toBe('PreconditionFailed')
    expect((await failureOf(copy({ CopySourceIfNoneMatch: ETag }))).code).toBe('PreconditionFailed')
    await copy({ CopySourceIfMatch: ETag })
    const missing = s3.send(new CopyObjectCommand({ Bucket, Key: 'a', CopySource: `${Bucket}/missing` }))
    expect((await failureOf(missing)).code).toBe('NoSuchKey')
  })
})
