import { expect, test } from 'vitest'
import { NOBODY, placementCodec } from '../../protocol/model/placement.ts'
import { formatTicket, parseTicket } from '../../protocol/model/ticket.ts'
import { partsOfToken, signToken } from '../../protocol/model/token.ts'
import { challenge, hello, renew } from '../../protocol/operations/control-operations.ts'
import { dataOperations, GetManyResult, StatResult } from '../../protocol/operations/data-operations.ts'
import { nodeOperations } from '../../protocol/operations/plane-operations.ts'
import { helloProof, renewProof, welcomeProof } from '../../protocol/transport/proof.ts'
import type { Codec } from '../../protocol/wire/codec.ts'
import { ByteColumn } from '../../protocol/wire/columns.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { Writer } from '../../protocol/wire/writer.ts'
import { frameBytes } from '../fixture/raw-connection.ts'
import { verifiedClaims } from '../fixture/verified-claims.ts'

/** Bytes that every client, in any language, must send and accept; docs/protocol.md explains them. */
const secret = Buffer.alloc(32, 7)
const key = Buffer.from('map/3')
const placement = {
  epoch: 5,
  nodes: [{ id: 'n-a', address: '127.0.0.1:7001' }],
  owners: Uint16Array.of(0, 0, 0, NOBODY),
}

/** With arrays in the place of columns, which are read without an object for each element. */
function withArrays(value: unknown): unknown {
  if (value instanceof ByteColumn || value instanceof Uint32Array || value instanceof Float64Array)
    return [...value]
  if (value === null || typeof value !== 'object' || Array.isArray(value) || ArrayBuffer.isView(value))
    return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withArrays(field)]))
}

function encode<T>(codec: Codec<T>, value: T): string {
  const writer = new Writer()
  codec.write(writer, value)
  const bytes = writer.take()
  const reader = new Reader(bytes)
  expect(withArrays(codec.read(reader))).toEqual(value)
  reader.finish()
  return bytes.toString('hex')
}

test('a put request', async () => {
  const fields = {
    epoch: 5,
    bucket: 0,
    key,
    lane: 2,
    sequence: 3,
    condition: 1,
    ifVersion: 0,
    ttlSeconds: 60,
    metadata: [{ name: 'a', value: 'b' }],
    checksum: 0xeb8eba67,
    keptBucket: 'out',
  }
  const frame = await frameBytes(9, dataOperations.put, fields, Buffer.from('xyz'))
  expect(frame.toString('hex')).toMatchInlineSnapshot(
    `"3a000000030000000900000010000000050000000000000005006d61702f33020003000000000000000100000000000000003c000000010000000100610100620167ba8eeb03006f757478797a"`,
  )
})

test('a request with a context', async () => {
  const context = { request: 'r-1', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` }
  const fields = { epoch: 5, bucket: 0, key }
  const frame = await frameBytes(9, dataOperations.stat, fields, undefined, context)
  expect(frame.toString('hex')).toMatchInlineSnapshot(
    `"4d000000000000000900000012003e000300722d31370030302d31313131313131313131313131313131313131313131313131313131313131312d323232323232323232323232323232322d3031050000000000000005006d61702f33"`,
  )
})

test('a get request', async () => {
  const frame = await frameBytes(10, dataOperations.get, {
    epoch: 5,
    bucket: 2,
    key,
    lane: 65_535,
    sequence: 2 ** 32 + 4,
    consume: true,
    waitMs: 250,
    version: 0,
    offset: 0,
    length: 4096,
  })
  expect(frame.toString('hex')).toMatchInlineSnapshot(
    `"32000000000000000a00000011000000050000000200000005006d61702f33ffff040000000100000001fa0000000000000000000000000000000000000000100000"`,
  )
})

test('the head of a get reply with a manifest', () => {
  const manifest = [
    { count: 2, chunkBytes: 1_048_576 },
    { count: 1, chunkBytes: 17 },
  ]
  expect(
    encode(dataOperations.get.reply, {
      version: 5 * 2 ** 32 + 1,
      kind: 1,
      bytes: 2_097_169,
      checksum: null,
      consumed: false,
      manifest,
      lease: 5 * 2 ** 32 + 2,
    }),
  ).toMatchInlineSnapshot(
    `"0100000005000000011100200000000000000002000000020000000000100001000000110000000200000005000000"`,
  )
})

test('putMany, statMany and getMany requests', async () => {
  const put = {
    epoch: 5,
    bucket: 0,
    lane: 2,
    sequence: 3,
    keys: [key, Buffer.from('b')],
    lengths: [3, 0],
    conditions: [1, 0],
    ifVersions: [],
    ttlSeconds: [],
    metadata: [],
    checksums: [0xeb8eba67, null],
  }
  expect(
    (await frameBytes(11, dataOperations.putMany, put, Buffer.from('xyz'))).toString('hex'),
  ).toMatchInlineSnapshot(
    `"48000000030000000b000000200000000500000000000000020003000000000000000200000005006d61702f33010062020000000300000000000000020000000100000000000000000000000000020000000167ba8eeb0078797a"`,
  )
  const stat = { epoch: 5, bucket: 0, keys: [key, Buffer.from('b')] }
  expect(encode(dataOperations.statMany.request, stat)).toMatchInlineSnapshot(
    `"05000000000000000200000005006d61702f33010062"`,
  )
  const get = { epoch: 5, bucket: 0, checksums: true, keys: [key, Buffer.from('b')] }
  expect(encode(dataOperations.getMany.request, get)).toMatchInlineSnapshot(
    `"0500000000000000010200000005006d61702f33010062"`,
  )
})

test('the heads of their replies', () => {
  expect(
    encode(dataOperations.statMany.reply, {
      results: Buffer.of(StatResult.found, StatResult.absent),
      bytes: [3, 0],
      versions: [5 * 2 ** 32 + 1, 0],
      tiers: Buffer.of(1, 0),
      expiresAtMs: [1_700_000_000_000, 0],
      persist: Buffer.of(1, 0),
      metadataBytes: [6, 0],
    }),
  ).toMatchInlineSnapshot(
    `"020001000200000003000000000000000000000000000000020000000100000005000000000000000000000002000100020000000068e5cf8b010000000000000000000002000100020000000600000000000000"`,
  )
  expect(
    encode(dataOperations.putMany.reply, { results: Buffer.of(0, 10), versions: [5 * 2 ** 32 + 1, 0] }),
  ).toMatchInlineSnapshot(`"0200000a0200000001000000050000000000000000000000"`)
  expect(
    encode(dataOperations.getMany.reply, {
      lengths: [3, GetManyResult.absent],
      checksums: [0xeb8eba67, null],
    }),
  ).toMatchInlineSnapshot(`"0200000003000000ffffffff020000000167ba8eeb00"`)
})

test('a placement', () => {
  expect(encode(placementCodec, placement)).toMatchInlineSnapshot(
    `"050000000100000003006e2d610e003132372e302e302e313a373030310200000000000300ffff0100"`,
  )
})

test('slots told to a node', () => {
  const fields = {
    job: 'j-1',
    metadata: '127.0.0.1:7002',
    generation: 2,
    term: 1,
    revision: 3,
    slots: 4,
    ramBytes: 1_048_576,
    ramBytesMax: 2_097_152,
    ssdBytes: 4_194_304,
    ssdBytesMax: 5_242_880,
    s3Bytes: 6_291_456,
    s3BytesMax: 7_340_032,
    bytesPerSecond: 3_145_728,
    readsPerThousand: 1500,
    buckets: {
      next: 3,
      living: [
        { first: 0, count: 1 },
        { first: 2, count: 1 },
      ],
    },
    owned: [{ first: 0, count: 3, epoch: 5, lost: true, origin: 2, source: '127.0.0.1:7003' }],
  }
  expect(encode(nodeOperations.own.request, fields)).toMatchInlineSnapshot(
    `"03006a2d310e003132372e302e302e313a3730303202000000010000000300000004000000000010000000000000002000000000000000400000000000000050000000000000006000000000000000700000000000000030000000000001dc05000003000000020000000000000001000000020000000100000001000000000003000500000001020e003132372e302e302e313a37303033"`,
  )
})

test('a challenge, the hello that answers it, its answer, and a renewal, with their proofs', async () => {
  const token = signToken(secret, { job: 'j-1', read: true, write: false, expiresSeconds: 2_000_000_000 })
  const { claims, mac } = partsOfToken(token)
  const nonce = Buffer.alloc(16, 0xa1)
  expect((await frameBytes(0, challenge, { protocol: 9, nonce })).toString('hex')).toMatchInlineSnapshot(
    `"1400000000000000000000000300000009001000a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"`,
  )
  const resume = [Buffer.alloc(16, 0xa0)]
  const fields = { protocol: 9, claims, nonce: Buffer.alloc(16, 0xc1), resume, mutations: 3 }
  const proof = helloProof(mac, nonce, fields)
  expect((await frameBytes(1, hello, { ...fields, proof })).toString('hex')).toMatchInlineSnapshot(
    `"6400000000000000010000000100000009000e000203006a2d3101000094357700001000c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1010000001000a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a003000000000000002000f7829a37ef48181ea1854ea1ec25cf32bfe83f3aa55ebf7f8d7e547f2a9c348b"`,
  )
  const answer = { server: 'n-a', session: Buffer.alloc(16, 0xa0) }
  expect(encode(hello.reply, { ...answer, proof: welcomeProof(mac, proof, answer) })).toMatchInlineSnapshot(
    `"03006e2d611000a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0200015bb8e6f12368c5c260b12d84a4e02ff68abfe550eb70a84c5d8024d86c69a96"`,
  )
  const next = partsOfToken(
    signToken(secret, { job: 'j-1', read: true, write: false, expiresSeconds: 2_000_086_400 }),
  )
  const renewal = { claims: next.claims, proof: renewProof(next.mac, proof, next.claims) }
  expect(encode(renew.request, renewal)).toMatchInlineSnapshot(
    `"0e000203006a2d31010080e536770000200047819344e18ab892b0292e9198507a305375a6afca7dfb6fa6ae79e571f5419f"`,
  )
})

test('a token and a ticket', () => {
  const token = signToken(secret, { job: 'j-1', read: true, write: false, expiresSeconds: 2_000_000_000 })
  expect(token.toString('hex')).toMatchInlineSnapshot(
    `"0203006a2d31010000943577000039d36e5f41014321dc17bb86eb2b430de295c35e7d1b1ba6c6b8ef4bde70622f"`,
  )
  expect(verifiedClaims(secret, token, 0)).toMatchObject({ job: 'j-1', read: true, write: false })
  const ticket = formatTicket({ metadata: '127.0.0.1:7002', job: 'j-1', token, placement })
  expect(ticket).toMatchInlineSnapshot(
    `"mayfly2.DgAxMjcuMC4wLjE6NzAwMgADAGotMS4AAgMAai0xAQAAlDV3AAA5025fQQFDIdwXu4brK0MN4pXDXn0bG6bGuO9L3nBiLwUAAAABAAAAAwBuLWEOADEyNy4wLjAuMTo3MDAxAgAAAAAAAwD__wEA"`,
  )
  expect(parseTicket(ticket)).toMatchObject({ job: 'j-1', placement })
})
