import { createHash, createHmac } from 'node:crypto'
import { crc32 as crcOf } from 'node:zlib'
import { expect, test } from 'vitest'
import { presignUrl } from '../../client/presign.ts'
import { sha256Hex } from '../../client/signature-v4.ts'
import { ask, sendRaw, signedHead, startTestGateway, type TestGateway } from './support/in-process.ts'

const put = { method: 'PUT', path: '/default/a', body: 'some bytes' }
const get = { method: 'GET', path: '/default/a' }

/** A body of signed chunks, with a signed trailer `name:value` if there is one. */
function chunksOf(
  { signature, time, scope, signingKey }: ReturnType<typeof signedHead>,
  pieces: readonly string[],
  trailer?: string,
): string {
  let former = signature
  const sign = (kind: string, ...hashes: readonly string[]): string => {
    const text = [`AWS4-HMAC-SHA256-${kind}`, time, scope, former, ...hashes].join('\n')
    former = createHmac('sha256', signingKey).update(text).digest('hex')
    return former
  }
  const chunks = [...pieces, ''].map((piece) => {
    const signed = sign('PAYLOAD', sha256Hex(''), sha256Hex(piece))
    const head = `${piece.length.toString(16)};chunk-signature=${signed}\r\n`
    return piece === '' && trailer !== undefined ? head : `${head}${piece}\r\n`
  })
  if (trailer === undefined) return chunks.join('')
  const signed = sign('TRAILER', sha256Hex(`${trailer}\n`))
  return `${chunks.join('')}${trailer}\r\nx-amz-trailer-signature:${signed}\r\n\r\n`
}

async function sendChunks(
  gateway: TestGateway,
  change: (body: string) => string,
  { decoded = 10, trailer }: { decoded?: number; trailer?: string } = {},
) {
  const mode = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
  const headers = {
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(decoded),
    ...(trailer !== undefined && { 'x-amz-trailer': trailer.slice(0, trailer.indexOf(':')) }),
  }
  const payloadHash = trailer === undefined ? mode : `${mode}-TRAILER`
  const head = signedHead(gateway, { ...put, headers, payloadHash })
  const body = change(chunksOf(head, ['some ', 'bytes'], trailer))
  return await sendRaw(gateway, [
    `${head.text}content-length: ${body.length}\r\nconnection: close\r\n\r\n`,
    body,
  ])
}

test('signed chunks are accepted, and refused if one is changed, missing, added or cut', async () => {
  const gateway = await startTestGateway()
  expect((await sendChunks(gateway, (body) => body)).status).toBe(200)
  expect((await ask(gateway, get)).body).toBe('some bytes')
  await ask(gateway, { method: 'DELETE', path: '/default/a' })
  expect(await sendChunks(gateway, (body) => body.replace('bytes', 'bytez'))).toMatchObject({
    status: 403,
    code: 'SignatureDoesNotMatch',
  })
  expect(
    await sendChunks(gateway, (body) => body.replace(/chunk-signature=.{10}/, 'chunk-signature=0000000000')),
  ).toMatchObject({ code: 'SignatureDoesNotMatch' })
  expect(
    await sendChunks(
      gateway,
      (body) => body.slice(0, body.indexOf('5;', 3)) + body.slice(body.indexOf('0;')),
    ),
  ).toMatchObject({ code: 'SignatureDoesNotMatch' })
  expect(await sendChunks(gateway, (body) => body, { decoded: 9 })).toMatchObject({ code: 'IncompleteBody' })
  expect(await sendChunks(gateway, (body) => body, { decoded: 11 })).toMatchObject({ code: 'IncompleteBody' })
  expect(await sendChunks(gateway, (body) => `zz${body}`)).toMatchObject({ code: 'InvalidRequest' })
  expect(await sendChunks(gateway, (body) => `${body}x-amz-checksum-crc32:AAAAAA==\r\n\r\n`)).toMatchObject({
    code: 'InvalidRequest',
  })
  expect((await ask(gateway, get)).code).toBe('NoSuchKey')
})

test('a signed trailer is verified: its checksum is kept, and one that is changed, missing or not announced is refused', async () => {
  const gateway = await startTestGateway()
  const crc32 = Buffer.alloc(4)
  crc32.writeUInt32BE(crcOf(Buffer.from('some bytes')))
  const trailer = `x-amz-checksum-crc32:${crc32.toString('base64')}`
  const stored = await sendChunks(gateway, (body) => body, { trailer })
  expect(stored).toMatchObject({ status: 200, headers: { 'x-amz-checksum-crc32': crc32.toString('base64') } })
  const headers = { 'x-amz-checksum-mode': 'ENABLED' }
  expect(await ask(gateway, { ...get, headers })).toMatchObject({
    body: 'some bytes',
    headers: { 'x-amz-checksum-crc32': crc32.toString('base64') },
  })
  await ask(gateway, { method: 'DELETE', path: '/default/a' })
  const wrong = await sendChunks(gateway, (body) => body, { trailer: 'x-amz-checksum-crc32:AAAAAA==' })
  expect(wrong).toMatchObject({ status: 400, code: 'BadDigest' })
  const changes: [string, (body: string) => string, string][] = [
    ['its value', (body) => body.replace(trailer, 'x-amz-checksum-crc32:AAAAAA=='), 'SignatureDoesNotMatch'],
    [
      'its signature',
      (body) => body.replace(/trailer-signature:.{10}/, 'trailer-signature:0000000000'),
      'SignatureDoesNotMatch',
    ],
    ['no signature', (body) => body.replace(/x-amz-trailer-signature.*\r\n/, ''), 'SignatureDoesNotMatch'],
    ['no trailer', (body) => body.replace(/x-amz-checksum-crc32.*\r\n/, ''), 'InvalidRequest'],
    ['another one', (body) => body.replace(trailer, `${trailer}\r\nx-amz-meta-a:b`), 'InvalidRequest'],
    ['no end', (body) => body.slice(0, -4), 'IncompleteBody'],
  ]
  for (const [what, change, code] of changes)
    expect([what, (await sendChunks(gateway, change, { trailer })).code]).toEqual([what, code])
  expect((await ask(gateway, get)).code).toBe('NoSuchKey')
})

test('a signature that is wrong, old, partial or of another kind has its own error', async () => {
  const gateway = await startTestGateway()
  expect((await ask(gateway, put)).status).toBe(200)
  const wrong = { accessKeyId: gateway.accessKeyId, secretAccessKey: 'wrong' }
  expect(await ask(gateway, { ...get, key: wrong })).toMatchObject({
    status: 403,
    code: 'SignatureDoesNotMatch',
  })
  const unknown = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'x' }
  expect(await ask(gateway, { ...get, key: unknown })).toMatchObject({
    status: 403,
    code: 'InvalidAccessKeyId',
  })
  for (const wallMs of [Date.now() - 16 * 60_000, Date.now() + 16 * 60_000]) {
    const skewed = await ask(gateway, { ...get, wallMs })
    expect(skewed).toMatchObject({ status: 403, code: 'RequestTimeTooSkewed' })
    expect(Math.abs(Date.parse(skewed.headers.date ?? '') - Date.now())).toBeLessThan(60_000)
  }
  expect((await ask(gateway, { ...get, wallMs: Date.now() - 14 * 60_000 })).status).toBe(200)
  const plain = (line: string) =>
    sendRaw(gateway, [`GET /default/a HTTP/1.1\r\nhost: a\r\n${line}connection: close\r\n\r\n`])
  expect(await plain('')).toMatchObject({ status: 403, code: 'AccessDenied' })
  expect(await plain('authorization: AWS a:b\r\n')).toMatchObject({ status: 400, code: 'InvalidRequest' })
  expect(await plain('authorization: AWS4-HMAC-SHA256 Credential=a\r\n')).toMatchObject({
    code: 'AuthorizationHeaderMalformed',
  })
  const { text } = signedHead(gateway, get)
  const added = await sendRaw(gateway, [`${text}x-amz-meta-added: 1\r\nconnection: close\r\n\r\n`])
  expect(added).toMatchObject({ status: 403, code: 'AccessDenied' })
  const changed = await ask(gateway, {
    ...put,
    payloadHash: createHash('sha256').update('other').digest('hex'),
  })
  expect(changed).toMatchObject({ status: 400, code: 'XAmzContentSHA256Mismatch' })
})

test('a key that reads alone cannot write, one with a prefix cannot leave it, and an expired one is ExpiredToken', async () => {
  const gateway = await startTestGateway()
  expect((await ask(gateway, put)).status).toBe(200)
  const reader = gateway.keyOf({ write: false })
  expect((await ask(gateway, { ...get, key: reader })).body).toBe('some bytes')
  expect(await ask(gateway, { ...put, key: reader })).toMatchObject({ status: 403, code: 'AccessDenied' })
  expect(await ask(gateway, { method: 'DELETE', path: '/default/a', key: reader })).toMatchObject({
    code: 'AccessDenied',
  })
  const inner = gateway.keyOf({ prefix: Buffer.from('in/') })
  expect((await ask(gateway, { ...put, path: '/default/in/a', key: inner })).status).toBe(200)
  expect(await ask(gateway, { ...put, path: '/default/out', key: inner })).toMatchObject({
    code: 'AccessDenied',
  })
  const expired = gateway.keyOf({ expiresSeconds: Math.floor(Date.now() / 1000) - 1 })
  expect(await ask(gateway, { ...get, key: expired })).toMatchObject({ status: 400, code: 'ExpiredToken' })
  const forAll = gateway.keyOf({ job: '' })
  expect(await ask(gateway, { ...get, key: forAll })).toMatchObject({ code: 'InvalidAccessKeyId' })
})

test('keys of a job that has ended, or never was, are InvalidAccessKeyId', async () => {
  const gateway = await startTestGateway()
  const never = gateway.keyOf({ job: 'j-never' })
  expect(await ask(gateway, { ...get, key: never })).toMatchObject({
    status: 403,
    code: 'InvalidAccessKeyId',
  })
  gateway.ended.add('j-gateway')
  expect(await ask(gateway, get)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' })
})

const malformed = [
  '',
  'no xml',
  '<Delete>',
  '<Delete><Object><Key>a</Key></Object>',
  '<Other><Object><Key>a</Key></Object></Other>',
  '<Delete></Delete>',
  '<Delete><Object><Key></Key></Object></Delete>',
  '<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>',
  '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>',
  `<Delete>${'<a>'.repeat(5000)}${'</a>'.repeat(5000)}</Delete>`,
]

test('XML that is malformed, deep, or declares entities is MalformedXML', async () => {
  const gateway = await startTestGateway()
  for (const body of malformed) {
    const answer = await ask(gateway, { method: 'POST', path: '/default', query: [['delete', '']], body })
    expect([body.slice(0, 60), answer.status, answer.code]).toEqual([body.slice(0, 60), 400, 'MalformedXML'])
  }
})

test('100 MB of XML are refused before they are read', async () => {
  const gateway = await startTestGateway()
  const before = process.memoryUsage().rss
  const { text } = signedHead(gateway, {
    method: 'POST',
    path: '/default',
    query: [['delete', '']],
    payloadHash: 'UNSIGNED-PAYLOAD',
  })
  const answer = await sendRaw(gateway, [
    `${text}content-length: ${100e6}\r\n\r\n`,
    Buffer.alloc(200_000, '<a>'),
  ])
  expect(answer).toMatchObject({ status: 400, code: 'MalformedXML' })
  expect(process.memoryUsage().rss - before).toBeLessThan(50e6)
})

test('headers that are too many are refused, and what is no HTTP', async () => {
  const gateway = await startTestGateway()
  const { text } = signedHead(gateway, get)
  const flood = Array.from({ length: 1000 }, (_, index) => `x-filler-${index}: ${'x'.repeat(20)}\r\n`).join(
    '',
  )
  expect(await sendRaw(gateway, [text, flood, '\r\n'])).toMatchObject({
    status: 400,
    code: 'RequestHeaderSectionTooLarge',
  })
  expect((await sendRaw(gateway, ['hello\r\n\r\n'])).status).toBe(400)
  expect(
    (await sendRaw(gateway, [`${text}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n`])).status,
  ).toBe(400)
})

test('tricks with paths reach a key of that name, or nothing', async () => {
  const gateway = await startTestGateway()
  const paths: [string, string][] = [
    ['/default/../x', '/default/../x'],
    ['/default/%2e%2e/x', '/default/../x'],
    ['/default/a%2Fb', '/default/a/b'],
    ['/default//a', '/default//a'],
    ['/default/./a', '/default/./a'],
    ['/default/a%2525', '/default/a%25'],
    ['/default/a;b', '/default/a;b'],
  ]
  for (const [rawPath, path] of paths) {
    const body = `bytes of ${path}`
    expect([path, (await ask(gateway, { method: 'PUT', path, rawPath, body })).status]).toEqual([path, 200])
    expect((await ask(gateway, { method: 'GET', path, rawPath })).body).toBe(body)
  }
  const listed = await ask(gateway, { method: 'GET', path: '/default', query: [['list-type', '2']] })
  const keys = [...listed.body.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key]) => key)
  expect(keys).toEqual(['../x', './a', '/a', 'a%25', 'a/b', 'a;b'])
  expect(await ask(gateway, { ...put, path: '/default/a\0b' })).toMatchObject({
    status: 400,
    code: 'InvalidArgument',
  })
  expect(await ask(gateway, { ...put, rawPath: '/default/%ff' })).toMatchObject({
    status: 400,
    code: 'InvalidURI',
  })
  expect(await ask(gateway, { ...put, rawPath: 'http://other/default/a' })).toMatchObject({
    status: 400,
    code: 'InvalidURI',
  })
  expect((await ask(gateway, { ...put, path: '/S3_uploads/u/a' })).code).toBe('NoSuchBucket')
  expect((await ask(gateway, { ...put, path: '/..%2f/a' })).code).toBe('InvalidBucketName')
})

test('a parameter or a length that is sent twice is refused', async () => {
  const gateway = await startTestGateway()
  const query = [
    ['prefix', 'a'],
    ['prefix', 'b'],
  ] as const
  expect(await ask(gateway, { method: 'GET', path: '/default', query })).toMatchObject({
    status: 400,
    code: 'InvalidArgument',
  })
  const { text } = signedHead(gateway, put)
  expect(
    (await sendRaw(gateway, [`${text}content-length: 10\r\ncontent-length: 11\r\n\r\nsome bytes`])).status,
  ).toBe(400)
})

test('a body that is shorter than its length is not stored, nor one without a length', async () => {
  const gateway = await startTestGateway()
  const { text } = signedHead(gateway, put)
  await sendRaw(gateway, [`${text}content-length: 20\r\n\r\n`, 'some bytes'], { ends: true })
  expect((await ask(gateway, get)).code).toBe('NoSuchKey')
  expect(
    await sendRaw(gateway, [`${text}transfer-encoding: chunked\r\nconnection: close\r\n\r\n`]),
  ).toMatchObject({ status: 411, code: 'MissingContentLength' })
  expect(
    await ask(gateway, {
      ...put,
      headers: { 'content-length': String(6 * 2 ** 30) },
      payloadHash: 'UNSIGNED-PAYLOAD',
    }),
  ).toMatchObject({ status: 400, code: 'EntityTooLarge' })
})

test('Expect: 100-continue is answered once the request may send its body, and not if it may not', async () => {
  const gateway = await startTestGateway()
  const head = (asked: object) =>
    `${signedHead(gateway, { ...put, ...asked }).text}content-length: 10\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n`
  const accepted = await sendRaw(gateway, [head({}), 'some bytes'])
  expect(accepted.status).toBe(100)
  expect(accepted.body).toContain('HTTP/1.1 200 OK')
  const wrong = { accessKeyId: gateway.accessKeyId, secretAccessKey: 'wrong' }
  expect((await sendRaw(gateway, [head({ key: wrong })])).code).toBe('SignatureDoesNotMatch')
})

test('a bucket may be in front of the host, and a presigned URL is refused when it is old, changed or of the future', async () => {
  const gateway = await startTestGateway()
  const headers = { host: 'default.localhost' }
  expect((await ask(gateway, { ...put, path: '/in/host', headers })).status).toBe(200)
  expect((await ask(gateway, { ...get, path: '/default/in/host' })).body).toBe('some bytes')
  const url = (wallMs: number, seconds = 60) => presignUrl(gateway, 'in/host', { seconds, wallMs })
  const codeOf = async (asked: string) => {
    const answer = await fetch(asked)
    return [answer.status, /<Code>(\w+)/.exec(await answer.text())?.[1]]
  }
  const now = Date.now()
  expect(await (await fetch(url(now))).text()).toBe('some bytes')
  expect(await codeOf(url(now - 61_000))).toEqual([403, 'AccessDenied'])
  expect(await codeOf(url(now + 16 * 60_000))).toEqual([403, 'AccessDenied'])
  expect(await codeOf(url(now).replace('Expires=60', 'Expires=600'))).toEqual([403, 'SignatureDoesNotMatch'])
  expect(await codeOf(url(now, 700_000))).toEqual([400, 'AuthorizationQueryParametersError'])
  expect(await codeOf(`${url(now)}&x-amz-acl=public-read`)).toEqual([403, 'SignatureDoesNotMatch'])
})
