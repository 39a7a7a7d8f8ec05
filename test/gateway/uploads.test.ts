import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { beforeAll, expect, test } from 'vitest'
import { clientOf, describeServers, failureOf, freshName, type S3Server } from './support/s3-servers.ts'

const MIB = 2 ** 20

describeServers('multipart uploads', (server: () => S3Server) => {
  let s3: S3Client
  const Bucket = freshName()
  const get = async (Key: string) => {
    const answer = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }))
    return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) }
  }
  const begin = async (Key: string, more: object = {}) => {
    const { UploadId = '' } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }))
    return { Bucket, Key, UploadId }
  }
  type Begun = Awaited<ReturnType<typeof begin>>
  const part = async (upload: Begun, PartNumber: number, Body: Buffer, more: object = {}) => {
    const { ETag = '', ...sums } = await s3.send(
      new UploadPartCommand({ ...upload, PartNumber, Body, ...more }),
    )
    const { ChecksumCRC32, ChecksumCRC32C, ChecksumCRC64NVME, ChecksumSHA1, ChecksumSHA256 } = sums
    return {
      PartNumber,
      ETag,
      ChecksumCRC32,
      ChecksumCRC32C,
      ChecksumCRC64NVME,
      ChecksumSHA1,
      ChecksumSHA256,
    }
  }
  const complete = (
    upload: Begun,
    Parts: { PartNumber: number; ETag: string }[],
    more: Partial<CompleteMultipartUploadCommandInput> = {},
  ) => s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...more }))

  beforeAll(async () => {
    s3 = clientOf(server())
    await s3.send(new CreateBucketCommand({ Bucket }))
  })

  test('parts become one object, in the order of their numbers', async () => {
    const upload = await begin('joined', { ContentType: 'text/plain', Metadata: { a: '1' } })
    const bytes = [randomBytes(5 * MIB), randomBytes(6 * MIB), randomBytes(10)] as const
    const third = await part(upload, 7, bytes[2])
    const first = await part(upload, 1, bytes[0])
    const second = await part(upload, 3, bytes[1])
    expect((await failureOf(get('joined'))).code).toBe('NoSuchKey')
    const { ETag } = await complete(upload, [first, second, third])
    expect(ETag).toMatch(/^"[0-9a-f]{32}-3"$/)
    const got = await get('joined')
    expect(got.bytes.equals(Buffer.concat(bytes))).toBe(true)
    expect(got).toMatchObject({ ETag, ContentType: 'text/plain', Metadata: { a: '1' } })
    expect((await failureOf(part(upload, 1, bytes[2]))).code).toBe('NoSuchUpload')
  })

  test.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
    'an upload with %s has its checksum',
    async (ChecksumAlgorithm) => {
      const upload = await begin(`checked/${ChecksumAlgorithm}`, { ChecksumAlgorithm })
      const parts = [
        await part(upload, 1, Buffer.alloc(5 * MIB, 'a'), { ChecksumAlgorithm }),
        await part(upload, 2, Buffer.alloc(100, 'b'), { ChecksumAlgorithm }),
      ]
      const completed = await complete(upload, parts)
      const sum = completed[`Checksum${ChecksumAlgorithm}`]
      expect(sum).toMatch(ChecksumAlgorithm === 'CRC64NVME' ? /=$/ : /-2$/)
      expect((await get(`checked/${ChecksumAlgorithm}`))[`Checksum${ChecksumAlgorithm}`]).toBe(sum)
    },
  )

  test('a part that arrives again replaces the former one', async () => {
    const upload = await begin('replaced')
    const former = await part(upload, 1, Buffer.from('former'))
    const latter = await part(upload, 1, Buffer.from('latter'))
    expect((await failureOf(complete(upload, [former]))).code).toBe('InvalidPart')
    await complete(upload, [latter])
    expect((await get('replaced')).bytes.toString()).toBe('latter')
  })

  test('parts that are missing, too small or out of order are refused', async () => {
    const upload = await begin('refused')
    const first = await part(upload, 1, Buffer.from('small'))
    const second = await part(upload, 2, Buffer.from('small'))
    expect((await failureOf(complete(upload, [first, { ...second, PartNumber: 3 }]))).code).toBe(
      'InvalidPart',
    )
    expect(await failureOf(complete(upload, [first, second]))).toEqual({
      code: 'EntityTooSmall',
      status: 400,
    })
    expect((await failureOf(complete(upload, [second, first]))).code).toBe('InvalidPartOrder')
    expect((await failureOf(complete(upload, []))).status).toBe(400)
    expect((await failureOf(part(upload, 10_001, Buffer.from('x')))).status).toBe(400)
    await complete(upload, [second])
  })

  test('a completion that is repeated, or two at once, succeed with one object', async () => {
    const upload = await begin('twice')
    const parts = [await part(upload, 1, randomBytes(5 * MIB)), await part(upload, 2, randomBytes(10))]
    const outcomes = await Promise.allSettled([complete(upload, parts), complete(upload, parts)])
    const tags = outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value.ETag : outcome.reason.name,
    )
    const { ETag } = await get('twice')
    expect(tags).toContain(ETag)
    // MinIO may answer the second with NoSuchUpload.
    if (server().is === 'minio') return
    expect(tags).toEqual([ETag, ETag])
    await s3.send(new PutObjectCommand({ Bucket, Key: 'twice', Body: 'newer' }))
    expect((await complete(upload, parts)).ETag).toBe(ETag)
    expect((await get('twice')).bytes.toString()).toBe('newer')
  })

  test('conditions of a completion hold', async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: 'conditional', Body: 'there' }))
    const upload = await begin('conditional')
    const parts = [await part(upload, 1, Buffer.from('x'))]
    const refused = await failureOf(complete(upload, parts, { IfNoneMatch: '*' }))
    expect(refused).toEqual({ code: 'PreconditionFailed', status: 412 })
    await complete(upload, parts)
    expect((await get('conditional')).bytes.toString()).toBe('x')
  })

  test('an aborted upload is gone, also for parts that arrive meanwhile', async () => {
    const upload = await begin('aborted')
    await part(upload, 1, Buffer.from('x'))
    // MinIO stores parts that arrive after an abort.
    const lateParts = server().is === 'minio' ? 0 : 5
    const late = Promise.allSettled(
      Array.from({ length: lateParts }, (_, index) => part(upload, index + 1, randomBytes(2 * MIB))),
    )
    await s3.send(new AbortMultipartUploadCommand(upload))
    for (const outcome of await late)
      if (outcome.status === 'rejected') expect(outcome.reason.name).toBe('NoSuchUpload')
    expect((await failureOf(s3.send(new ListPartsCommand(upload)))).code).toBe('NoSuchUpload')
    expect((await failureOf(complete(upload, [{ PartNumber: 1, ETag: '"a"' }]))).code).toBe('NoSuchUpload')
    // MinIO aborts what is not there.
    if (server().is === 'minio') return
    const unknown = new AbortMultipartUploadCommand({ ...upload, UploadId: 'none' })
    expect((await failureOf(s3.send(unknown))).code).toBe('NoSuchUpload')
  })

  test('parts and uploads are listed, page by page', async () => {
    const upload = await begin('listed/a')
    for (const number of [1, 2, 10]) await part(upload, number, Buffer.alloc(number, 'x'))
    const all = await s3.send(new ListPartsCommand(upload))
    expect(all.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, 1],
      [2, 2],
      [10, 10],
    ])
    const page = await s3.send(new ListPartsCommand({ ...upload, MaxParts: 2 }))
    expect([page.IsTruncated, page.NextPartNumberMarker]).toEqual([true, '2'])
    const rest = await s3.send(new ListPartsCommand({ ...upload, PartNumberMarker: '2' }))
    expect(rest.Parts?.map(({ PartNumber }) => PartNumber)).toEqual([10])
    // MinIO lists uploads of one exact key alone.
    const Prefix = server().is === 'minio' ? 'listed/a' : 'listed/'
    const uploads = await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix }))
    expect(uploads.Uploads?.map(({ Key, UploadId }) => [Key, UploadId])).toEqual([
      ['listed/a', upload.UploadId],
    ])
    await s3.send(new AbortMultipartUploadCommand(upload))
  })

  test('a part is copied from a range of an object', async () => {
    const bytes = randomBytes(8 * MIB)
    await s3.send(new PutObjectCommand({ Bucket, Key: 'source', Body: bytes }))
    const upload = await begin('copied')
    const copy = { ...upload, CopySource: `${Bucket}/source` }
    const range = `bytes=${MIB}-${7 * MIB - 1}`
    const one = await s3.send(new UploadPartCopyCommand({ ...copy, PartNumber: 1, CopySourceRange: range }))
    const two = await s3.send(new UploadPartCopyCommand({ ...copy, PartNumber: 2 }))
    const beyond = new UploadPartCopyCommand({
      ...copy,
      PartNumber: 3,
      CopySourceRange: `bytes=0-${8 * MIB}`,
    })
    expect([400, 416]).toContain((await failureOf(s3.send(beyond))).status)
    await complete(upload, [
      { PartNumber: 1, ETag: one.CopyPartResult?.ETag ?? '' },
      { PartNumber: 2, ETag: two.CopyPartResult?.ETag ?? '' },
    ])
    expect((await get('copied')).bytes.equals(Buffer.concat([bytes.subarray(MIB, 7 * MIB), bytes]))).toBe(
      true,
    )
  })

  test.each([10, 5 * MIB, 23 * MIB + 7])('lib-storage uploads a stream of %i bytes', async (length) => {
    const bytes = randomBytes(length)
    const Body = Readable.from(
      (function* () {
        for (let at = 0; at < length; at += 70_000) yield bytes.subarray(at, at + 70_000)
      })(),
    )
    await new Upload({ client: s3, params: { Bucket, Key: `stored/${length}`, Body }, queueSize: 3 }).done()
    expect((await get(`stored/${length}`)).bytes.equals(bytes)).toBe(true)
    const { ContentLength } = await s3.send(new HeadObjectCommand({ Bucket, Key: `stored/${length}` }))
    expect(ContentLength).toBe(length)
  })

  test('an upload that lib-storage aborts leaves nothing', async () => {
    const upload = new Upload({
      client: s3,
      params: { Bucket, Key: 'given-up', Body: Readable.from(endless()) },
    })
    upload.on('httpUploadProgress', () => void upload.abort())
    await expect(upload.done()).rejects.toThrow()
    const uploads = async () =>
      (await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: 'given-up' }))).Uploads ?? []
    await expect.poll(uploads).toEqual([])
  })
})

async function* endless(): AsyncGenerator<Buffer> {
  for (;;) yield Buffer.alloc(MIB)
}
