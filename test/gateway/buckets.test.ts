import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetBucketAclCommand,
  GetBucketEncryptionCommand,
  GetBucketLocationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { beforeAll, expect, test } from 'vitest'
import { clientOf, describeServers, failureOf, freshName, type S3Server } from './support/s3-servers.ts'

const names = (list: { Key?: string | undefined }[] | undefined): (string | undefined)[] =>
  (list ?? []).map(({ Key }) => Key)
const prefixes = (list: { Prefix?: string | undefined }[] | undefined): (string | undefined)[] =>
  (list ?? []).map(({ Prefix }) => Prefix)

describeServers('buckets and listings by @aws-sdk/client-s3', (server: () => S3Server) => {
  let s3: S3Client
  const Bucket = freshName()
  const keys = ['a', 'b/1', 'b/2', 'b/c/3', 'd', 'e&f', 'z/1', 'é']
  const list = (more: Partial<ListObjectsV2CommandInput> = {}) =>
    s3.send(new ListObjectsV2Command({ Bucket, ...more }))
  const put = (Key: string, bucket = Bucket) =>
    s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: Key }))

  beforeAll(async () => {
    s3 = clientOf(server())
    await s3.send(new CreateBucketCommand({ Bucket }))
    await Promise.all(keys.map((key) => put(key)))
  })

  test('a bucket is created once, listed, and deleted once it is empty', async () => {
    const name = freshName()
    await s3.send(new CreateBucketCommand({ Bucket: name }))
    expect(await failureOf(s3.send(new CreateBucketCommand({ Bucket: name })))).toEqual({
      code: 'BucketAlreadyOwnedByYou',
      status: 409,
    })
    const { Buckets } = await s3.send(new ListBucketsCommand({}))
    expect(Buckets?.find(({ Name }) => Name === name)?.CreationDate).toBeInstanceOf(Date)
    await s3.send(new HeadBucketCommand({ Bucket: name }))
    await put('a', name)
    expect(await failureOf(s3.send(new DeleteBucketCommand({ Bucket: name })))).toEqual({
      code: 'BucketNotEmpty',
      status: 409,
    })
    await s3.send(new DeleteObjectsCommand({ Bucket: name, Delete: { Objects: [{ Key: 'a' }] } }))
    await s3.send(new DeleteBucketCommand({ Bucket: name }))
    expect((await failureOf(s3.send(new HeadBucketCommand({ Bucket: name })))).status).toBe(404)
    expect((await failureOf(s3.send(new DeleteBucketCommand({ Bucket: name })))).code).toBe('NoSuchBucket')
  })

  test.each(['ab', 'Upper-Case', 'under_score', '192.168.1.1', 'a..b', '-begins'])(
    '%s is no name of a bucket',
    async (name) => {
      expect((await failureOf(s3.send(new CreateBucketCommand({ Bucket: name })))).status).toBe(400)
    },
  )

  test('location and versioning are those of a bucket that has neither', async () => {
    expect((await s3.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint ?? '').toBe('')
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBeUndefined()
  })

  test('a listing has keys in the order of their bytes, with size, time and entity tag', async () => {
    const { Contents, KeyCount, IsTruncated, MaxKeys } = await list()
    expect({ KeyCount, IsTruncated, MaxKeys }).toEqual({ KeyCount: 8, IsTruncated: false, MaxKeys: 1000 })
    expect(names(Contents)).toEqual(keys)
    expect(Contents?.[0]).toMatchObject({
      Size: 1,
      ETag: '"0cc175b9c0f1b6a831c399e269772661"',
      StorageClass: 'STANDARD',
    })
    expect(Contents?.[0]?.LastModified).toBeInstanceOf(Date)
  })

  test('a prefix and a delimiter roll keys up', async () => {
    const rolled = await list({ Delimiter: '/' })
    expect([names(rolled.Contents), prefixes(rolled.CommonPrefixes)]).toEqual([
      ['a', 'd', 'e&f', 'é'],
      ['b/', 'z/'],
    ])
    const below = await list({ Delimiter: '/', Prefix: 'b/' })
    expect([names(below.Contents), prefixes(below.CommonPrefixes)]).toEqual([['b/1', 'b/2'], ['b/c/']])
    expect(names((await list({ Prefix: 'b' })).Contents)).toEqual(['b/1', 'b/2', 'b/c/3'])
  })

  test.each([1, 2, 3])('pages of %i have each key and each common prefix once', async (MaxKeys) => {
    const seen: (string | undefined)[] = []
    for (let ContinuationToken: string | undefined, pages = 0; pages < 20; pages++) {
      const page = await list({
        MaxKeys,
        Delimiter: '/',
        ...(ContinuationToken !== undefined && { ContinuationToken }),
      })
      const found = [...names(page.Contents), ...prefixes(page.CommonPrefixes)]
      expect(found.length).toBe(page.KeyCount)
      expect(found.length).toBeLessThanOrEqual(MaxKeys)
      seen.push(...found)
      ContinuationToken = page.NextContinuationToken
      if (page.IsTruncated !== true) break
    }
    expect(seen.sort()).toEqual(['a', 'b/', 'd', 'e&f', 'z/', 'é'])
  })

  test('start-after excludes its key, and max-keys 0 lists nothing', async () => {
    expect(names((await list({ StartAfter: 'd' })).Contents)).toEqual(['e&f', 'é', 'z/1'].sort())
    const none = await list({ MaxKeys: 0 })
    expect([none.KeyCount, none.IsTruncated, none.Contents]).toEqual([0, false, undefined])
  })

  test('encoding-type url encodes keys', async () => {
    const { Contents, EncodingType } = await list({ EncodingType: 'url', Prefix: 'e' })
    expect([EncodingType, names(Contents)]).toEqual(['url', ['e%26f']])
  })

  test('version 1 pages by markers', async () => {
    const first = await s3.send(new ListObjectsCommand({ Bucket, MaxKeys: 2, Delimiter: '/' }))
    expect([names(first.Contents), prefixes(first.CommonPrefixes), first.IsTruncated]).toEqual([
      ['a'],
      ['b/'],
      true,
    ])
    // MinIO adds the id of a cache to its markers.
    expect(first.NextMarker).toMatch(/^b\//)
    const second = await s3.send(new ListObjectsCommand({ Bucket, Delimiter: '/', Marker: first.NextMarker }))
    expect([names(second.Contents), prefixes(second.CommonPrefixes)]).toEqual([['d', 'e&f', 'é'], ['z/']])
  })

  test('versions are those of a bucket without versioning', async () => {
    const { Versions } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'b/' }))
    expect(Versions?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest])).toEqual([
      ['b/1', 'null', true],
      ['b/2', 'null', true],
      ['b/c/3', 'null', true],
    ])
  })

  test('a listing of a missing bucket is NoSuchBucket', async () => {
    expect((await failureOf(list({ Bucket: 'no-such-bucket' }))).code).toBe('NoSuchBucket')
  })

  test('keys below a common prefix are skipped, however many', async () => {
    const name = freshName()
    await s3.send(new CreateBucketCommand({ Bucket: name }))
    const many = Array.from({ length: 1500 }, (_, index) => `m/${index}`)
    for (let from = 0; from < many.length; from += 100)
      await Promise.all(many.slice(from, from + 100).map((key) => put(key, name)))
    await Promise.all(['a', 'z'].map((key) => put(key, name)))
    const { Contents, CommonPrefixes } = await list({ Bucket: name, Delimiter: '/' })
    expect([names(Contents), prefixes(CommonPrefixes)]).toEqual([['a', 'z'], ['m/']])
    const first = await list({ Bucket: name })
    const { NextContinuationToken: ContinuationToken = '' } = first
    const second = await list({ Bucket: name, ContinuationToken })
    expect([first.KeyCount, second.KeyCount]).toEqual([1000, 502])
    expect(new Set([...names(first.Contents), ...names(second.Contents)]).size).toBe(1502)
  })

  test('what the gateway does not have is NotImplemented, never a silent success', async () => {
    // MinIO has these.
    if (server().is === 'minio') return
    const calls = [
      new GetBucketAclCommand({ Bucket }),
      new GetBucketPolicyCommand({ Bucket }),
      new GetBucketEncryptionCommand({ Bucket }),
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
      new GetObjectTaggingCommand({ Bucket, Key: 'a' }),
      new PutObjectTaggingCommand({ Bucket, Key: 'a', Tagging: { TagSet: [{ Key: 'a', Value: 'b' }] } }),
      new PutObjectAclCommand({ Bucket, Key: 'a', ACL: 'public-read' }),
      new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', Tagging: 'a=b' }),
      new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', ACL: 'public-read' }),
      new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', ServerSideEncryption: 'AES256' }),
      new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', StorageClass: 'GLACIER' }),
    ]
    for (const call of calls)
      expect(await failureOf(s3.send(call as never))).toEqual({ code: 'NotImplemented', status: 501 })
  })
})
