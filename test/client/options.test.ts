import { expect, test } from 'vitest'
import { connect } from '../../client/connect.ts'
import { openJob } from '../../client/job.ts'
import { MayflyError } from '../../protocol/errors.ts'
import { formatTicket } from '../../protocol/model/ticket.ts'

const ticket = formatTicket({
  metadata: '127.0.0.1:1',
  job: 'j-1',
  token: Buffer.alloc(32),
  placement: { epoch: 1, nodes: [{ id: 'n', address: '127.0.0.1:1' }], owners: new Uint16Array(4) },
})
const half = 'a\ud800b'

type Call = (options: unknown) => Promise<unknown> | AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>

/** Every call with options, as untyped code could make it. */
const job = await openJob(ticket)
// biome-ignore lint/suspicious/noExplicitAny: what an untyped program passes.
const untyped = job as any
const mayfly = await connect('http://127.0.0.1:1', { apiKey: 'key-0123456789abcdef' })
// biome-ignore lint/suspicious/noExplicitAny: as above.
const driver = mayfly as any
const calls: Readonly<Record<string, Call>> = {
  put: (options) => untyped.put('k', 'v', options),
  putMany: (options) => untyped.putMany([{ key: 'k', bytes: 'v' }], options),
  'an entry of putMany': (options) =>
    untyped.putMany([options === null ? null : { key: 'k', bytes: 'v', ...(options as object) }]),
  putStream: (options) => untyped.putStream('k', [Buffer.from('v')].values(), options),
  get: (options) => untyped.get('k', options),
  putJson: (options) => untyped.putJson('k', 1, options),
  getJson: (options) => untyped.getJson('k', options),
  getWithMetadata: (options) => untyped.getWithMetadata('k', options),
  getMany: (options) => untyped.getMany(['k'], options),
  getStream: async (options) => untyped.getStream('k', options),
  stat: (options) => untyped.stat('k', options),
  exists: (options) => untyped.exists('k', options),
  delete: (options) => untyped.delete('k', options),
  deleteMany: (options) => untyped.deleteMany(['k'], options),
  append: (options) => untyped.append('k', 'v', options),
  list: (options) => untyped.list(options),
  createBucket: (options) => untyped.createBucket('b', options),
  deleteBucket: (options) => untyped.deleteBucket('b', options),
  buckets: (options) => untyped.buckets(options),
  openJob: (options) => openJob(ticket, options as object),
  connect: (options) => connect('http://127.0.0.1:1', options as object),
  'hints of registerJob': (options) => driver.registerJob('n', options),
  registerJob: (options) => driver.registerJob('n', {}, options),
  'mayfly.job': (options) => driver.job('n', options),
  'mayfly.jobs': (options) => driver.jobs(options),
  'kept.list': (options) => driver.kept.list(options),
  'kept.get': (options) => driver.kept.get({ job: 'j', key: 'k' }, options),
  'the name of kept.get': (options) => driver.kept.get(options),
  'kept.delete': (options) => driver.kept.delete({ job: 'j', key: 'k' }, options),
}

async function refusal(call: Call | undefined, options: unknown): Promise<MayflyError> {
  try {
    const result = (await call?.(options)) as AsyncIterable<unknown> | null
    if (typeof result?.[Symbol.asyncIterator] === 'function') for await (const _ of result) break
  } catch (error) {
    expect(error).toBeInstanceOf(MayflyError)
    return error as MayflyError
  }
  throw new Error('nothing was refused')
}

test.each(Object.keys(calls))(
  '%s refuses options that are no object, and a name that it does not know',
  async (name) => {
    for (const options of name.startsWith('an entry') ? [null] : [null, 7, 'x', true, []])
      expect(await refusal(calls[name], options), String(options)).toMatchObject({ code: 'BAD_REQUEST' })
    const unknown = await refusal(calls[name], { ifAbsnt: true })
    expect(unknown).toMatchObject({ code: 'BAD_REQUEST', reason: expect.stringContaining('ifAbsnt') })
  },
)

const ofAnyCall = [
  { deadlineMs: 0 },
  { deadlineMs: '100' },
  { deadlineMs: Number.NaN },
  { deadlineMs: null },
  { signal: 'now' },
  { signal: null },
]
const ofKeys = [...ofAnyCall, { bucket: 7 }, { bucket: null }, { bucket: half }]
const ofObjects = [
  { ifAbsent: 1 },
  { ifAbsent: 'true' },
  { ifAbsent: null },
  { ifVersion: 0 },
  { ifVersion: 1.5 },
  { ifVersion: '3' },
  { ifVersion: 3, ifAbsent: true },
  { ttlSeconds: 0 },
  { ttlSeconds: '60' },
  { ttlSeconds: 1.5 },
  { persist: 'yes' },
  { metadata: null },
  { metadata: [] },
  { metadata: 'a' },
  { metadata: { a: 1 } },
  { metadata: { a: half } },
  { metadata: { [half]: 'a' } },
]
const ranges = [
  { range: null },
  { range: [0, 1] },
  { range: { start: 2, len: 3 } },
  { range: {} },
  { range: { start: '2' } },
  { range: { start: -1 } },
  { range: { start: 2, end: 2 } },
  { range: { start: 2, end: null } },
]
const waits = [{ waitSeconds: -1 }, { waitSeconds: 901 }, { waitSeconds: '1' }, { waitSeconds: null }]

const wrong: readonly (readonly [string, readonly object[]])[] = [
  ['put', [...ofKeys, ...ofObjects]],
  ['an entry of putMany', ofObjects],
  ['putMany', ofKeys],
  ['putStream', [...ofKeys, ...ofObjects]],
  ['get', [...ofKeys, ...ranges, ...waits, { consume: 1 }, { consume: true, range: { start: 0 } }]],
  ['getStream', [...ofKeys, ...ranges, ...waits]],
  ['putJson', [...ofKeys, ...ofObjects]],
  ['getJson', [...ofKeys, ...waits, { range: { start: 0 } }]],
  ['getWithMetadata', [...ofKeys, ...ranges, ...waits, { consume: true }]],
  ['getMany', [...ofKeys, ...waits]],
  ['stat', ofKeys],
  ['deleteMany', ofKeys],
  ['append', ofKeys],
  ['list', [...ofKeys, { prefix: 7 }, { prefix: half }, { acceptHoles: 'no' }]],
  ['createBucket', ofAnyCall],
  ['openJob', [{ checksums: 'yes' }, { checksums: null }, { onRetry: 'log' }]],
  ['connect', [{ apiKey: 7 }, { apiKey: null }, { onRetry: true }]],
  ['mayfly.job', ofAnyCall],
  ['mayfly.jobs', ofAnyCall],
  [
    'hints of registerJob',
    [{ capacityBytes: '1' }, { capacityBytes: 0 }, { latencySensitive: 1 }, { maxFunctions: 1.5 }],
  ],
  ['registerJob', [...ofAnyCall, { leaseSeconds: '1' }, { waitSeconds: 241 }, { waitSeconds: null }]],
  ['kept.list', [...ofAnyCall, { prefix: null }]],
  [
    'the name of kept.get',
    [
      { job: 7, key: 'k' },
      { job: 'j', key: half },
    ],
  ],
]

test.each(wrong)(
  '%s refuses what its options may not be, by name, before anything is sent',
  async (name, all) => {
    for (const options of all) {
      const error = await refusal(calls[name], options)
      expect([JSON.stringify(options), error.code]).toEqual([JSON.stringify(options), 'BAD_REQUEST'])
      expect(Object.keys(options).some((option) => error.reason.includes(option))).toBe(true)
    }
  },
)

test('half of a surrogate pair is refused in keys, values and names, and nothing else than strings and bytes is taken', async () => {
  const refused: readonly (() => Promise<unknown>)[] = [
    () => job.put(half, 'v'),
    () => job.put('k', half),
    () => job.append('k', half),
    () => job.putMany([{ key: 'k', bytes: half }]),
    () => job.putMany([{ key: half, bytes: 'v' }]),
    () => job.getMany([half]),
    () => job.createBucket(half),
    () => mayfly.registerJob(half),
    () => untyped.put('k', null),
    () => untyped.put(null, 'v'),
    () => untyped.createBucket(null),
    () => untyped.deleteBucket(7),
    () => untyped.getMany('k'),
    () => untyped.deleteMany(null),
    () => untyped.putMany({}),
    () => driver.registerJob(7),
    () =>
      (connect as (url: unknown) => Promise<unknown>)({
        url: 'http://127.0.0.1:1',
        apiKey: 'key-0123456789abcdef',
      }),
    () => (openJob as (ticket: unknown) => Promise<unknown>)({ ticket }),
    () => untyped.renewTicket(7),
    () => untyped.putStream('k', null),
  ]
  for (const call of refused) {
    const error = await call().catch((thrown: unknown) => thrown)
    expect([String(call), (error as MayflyError).code]).toEqual([String(call), 'BAD_REQUEST'])
  }
})

test.each(['127.0.0.1:7400', 'http://127.0.0.1:7400.', 'ftp://127.0.0.1', 'mayfly'])(
  'connect refuses %s as a URL',
  async (url) => {
    const refused = connect(url, { apiKey: 'key-0123456789abcdef' })
    await expect(refused).rejects.toMatchObject({ code: 'BAD_REQUEST', retryable: false })
    await expect(refused).rejects.toThrow(url)
  },
)
