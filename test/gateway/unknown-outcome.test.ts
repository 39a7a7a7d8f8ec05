import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { startConfusingProxy } from './support/confusing-proxy.ts'
import { startTestGateway } from './support/in-process.ts'
import { clientOf } from './support/s3-servers.ts'

const Bucket = 'default'

/** A gateway whose node can be lost out of sight at any request or answer, and a client that repeats as the SDK of AWS does. */
async function start() {
  const proxies: Awaited<ReturnType<typeof startConfusingProxy>>[] = []
  const gateway = await startTestGateway({
    reach: async (node, other) => {
      const proxy = await startConfusingProxy(node, other)
      proxies.push(proxy)
      return proxy.address
    },
  })
  const [proxy] = proxies
  if (proxy === undefined) throw new Error('there is no proxy')
  const s3 = clientOf(gateway)
  onTestFinished(() => s3.destroy())
  proxy.watch()
  await s3.send(new PutObjectCommand({ Bucket, Key: 'connects', Body: 'x' }))
  const get = async (Key: string): Promise<string | undefined> =>
    await (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString()
  return { s3, proxy, get }
}

test.each([{}, { IfNoneMatch: '*' }])(
  'a put with %j whose answer is lost succeeds if the gateway finds it',
  async (condition) => {
    const { s3, proxy, get } = await start()
    proxy.lose('answer')
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'bytes', ...condition }))
    expect(put).toMatchObject({ ETag: '"4b3a6218bb3e3a7303e8a171a60fcf92"', $metadata: { attempts: 1 } })
    expect(await get('a')).toBe('bytes')
  },
)

test('a put without a condition that may not have been carried out is repeated by SDKs', async () => {
  const { s3, proxy, get } = await start()
  proxy.lose('request')
  const put = await s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'bytes' }))
  expect(put.$metadata.attempts).toBe(2)
  expect(await get('a')).toBe('bytes')
})

test('a put with a condition that may not have been carried out is OutcomeUnknown, which SDKs do not repeat', async () => {
  const { s3, proxy, get } = await start()
  proxy.lose('request')
  const put = s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'bytes', IfNoneMatch: '*' }))
  await expect(put).rejects.toMatchObject({
    name: 'OutcomeUnknown',
    $metadata: { httpStatusCode: 409, attempts: 1 },
  })
  await expect(get('a')).rejects.toMatchObject({ name: 'NoSuchKey' })
})
