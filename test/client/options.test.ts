import { expect, test } from 'vitest'
import { connect } from '../../client/connect.ts'
import { ControllerApi } from '../../client/controller-api.ts'
import { Job, openJob } from '../../client/job.ts'
import { openRegistered } from '../../client/registration.ts'
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
const controller = new ControllerApi('http://127.0.0.1:1', 'key-0123456789abcdef', { ca: () => null })
const none = { ram: 0, ssd: 0, s3: 0 }
const reply = {
  ...{
    id: 'j-1',
    name: 'n',
    owner: 'o',
    state: 'active' as const,
    hints: {},
    pricePerHour: 0,
    leaseSeconds: 1,
  },
  reservation: { latencyClass: 'ram' as const, bytes: none, bytesPerSecond: 1, nodes: [] },
  usage: { objects: 0, bytes: none, bytesPerSecond: 0 },
  ...{ leaseExpiresAt: '2030-01-01T00:00:00Z', createdAt: '2030-01-01T00:00:00Z', ticket },
}
// biome-ignore lint/suspicious/noExplicitAny: as above.
const registered = (await openRegistered(controller, reply, { ends: false })) as any
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
  statMany: (options) => untyped.statMany(['k'], options),
  exists: (options) => untyped.exists('k', options),
  delete: (options) => untyped.delete('k', options),
  deleteMany: (options) => untyped.deleteMany(['k'], options),
  append: (options) => untyped.append('k', 'v', options),
  list: (options) => untyped.list(options),
  createBucket: (options) => untyped.createBucket('b', options),
  deleteBucket: (options) => untyped.deleteBucket('b', options),
  buckets: (options) => untyped.buckets(options),
  presign: (options) => untyped.presign('k', options),
  'registered.info': (options) => registered.info(options),
  'the grant of registered.issueTicket': (options) => registered.issueTicket(options),
  'registered.issueTicket': (options) => registered.issueTicket({}, options),
  'the grant of registered.s3Credentials': (options) => registered.s3Credentials(options),
  'registered.s3Credentials': (options) => registered.s3Credentials({}, options),
  'registered.presign': (options) => registered.presign('k', options),
  'registered.renew': (options) => registered.renew(options),
  'hints of registered.resize': (options) => registered.resize(options),
  'registered.resize': (options) => registered.resize({}, options),
  'registered.deregister': (options) => registered.deregister(options),
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

/** Calls without options. */
const withoutOptions = ['renewTicket', 'close']

test('each call that has options is in the table', () => {
  const own = (object: object): string[] =>
    Object.entries(Object.getOwnPropertyDescriptors(object)).flatMap(([name, { value }]) =>
      typeof value === 'function' && name !== 'constructor' ? [name] : [],
    )
  const all = [
    ...own(Job.prototype),
    ...own(registered).map((name) => `registered.${name}`),
    ...own(mayfly).map((name) => (name === 'registerJob' ? name : `mayfly.${name}`)),
    ...own(mayfly.kept).map((name) => `kept.${name}`),
  ]
  expect(all.length).toBeGreaterThan(30)
  expect(all.filter((name) => !Object.hasOwn(calls, name))).toEqual(withoutOptions)
  const withValues = new Set(wrong.map(([name]) => name))
  expect(Object.keys(calls).filter((name) => !withValues.has(name))).toEqual([])
})

const ofAnyCall = [
  { deadlineMs: 0 },
  { deadlineMs: 900_001 },
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
  { ttlSeconds: 315_360_001 },
  { persist: 'yes' },
  { metadata: null },
  { metadata: [] },
  { metadata: 'a' },
  { metadata: { a: 1 } },
  { metadata: { a: half } },
  { metadata: { [half]: 'a' } },
  { metadata: { 'a\0': 'a' } },
  { metadata: { 'a\n': 'a' } },
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
const hints = [
  { capacityBytes: '1' },
  { capacityBytes: 0 },
  { capacityBytes: 2 ** 51 },
  { latencySensitive: 1 },
  { latencyMs: 0 },
  { latencyMs: 60_001 },
  { maxFunctions: 1.5 },
  { maxFunctions: 100_001 },
  { peakBytesPerSecond: 0 },
  { peakBytesPerSecond: '1' },
  { readsPerObject: -1 },
  { readsPerObject: 1_000_001 },
]
const rights = [
  { read: 1 },
  { read: null },
  { write: 'no' },
  { prefix: 7 },
  { prefix: half },
  { prefix: 'a\0' },
]
const presigned = [
  ...ofKeys,
  { method: 'POST' },
  { method: 'get' },
  { method: null },
  { seconds: 0 },
  { seconds: 1.5 },
  { seconds: 604_801 },
  { seconds: '60' },
  { endpoint: 7 },
  { endpoint: half },
]
const versions = [{ ifVersion: 0 }, { ifVersion: 1.5 }, { ifVersion: '3' }, { ifVersion: null }]
const hooks = [{ ca: 7 }, { ca: null }, { onRetry: 'log' }, { tracer: {} }, { tracer: null }]
const waits = [{ waitSeconds: -1 }, { waitSeconds: 901 }, { waitSeconds: '1' }, { waitSeconds: null }]

const wrong: readonly (readonly [string, readonly object[]])[] = [
  ['put', [...ofKeys, ...ofObjects]],
  ['an entry of putMany', ofObjects],
  ['putMany', ofKeys],
  ['putStream', [...ofKeys, ...ofObjects]],
  [
    'get',
    [...ofKeys, ...ranges, ...waits, ...versions, { consume: 1 }, { consume: true, range: { start: 0 } }],
  ],
  ['getStream', [...ofKeys, ...ranges, ...waits, ...versions, { consume: true }]],
  ['putJson', [...ofKeys, ...ofObjects]],
  ['getJson', [...ofKeys, ...waits, { range: { start: 0 } }, { ifVersion: 3 }]],
  ['getWithMetadata', [...ofKeys, ...ranges, ...waits, ...versions, { consume: true }]],
  ['getMany', [...ofKeys, ...waits]],
  ['stat', ofKeys],
  ['statMany', ofKeys],
  ['exists', ofKeys],
  ['delete', ofKeys],
  ['deleteMany', ofKeys],
  ['append', ofKeys],
  [
    'list',
    [
      ...ofKeys,
      { prefix: 7 },
      { prefix: half },
      { prefix: 'a\0' },
      { after: 7 },
      { after: null },
      { after: half },
      { acceptHoles: 'no' },
      { limit: 0 },
      { limit: 1.5 },
      { limit: '10' },
      { limit: null },
    ],
  ],
  ['createBucket', ofAnyCall],
  ['deleteBucket', ofAnyCall],
  ['buckets', ofAnyCall],
  ['presign', presigned],
  ['openJob', [...hooks, { checksums: 'yes' }, { checksums: null }]],
  ['connect', [...hooks, { apiKey: 7 }, { apiKey: null }]],
  ['mayfly.job', ofAnyCall],
  ['mayfly.jobs', ofAnyCall],
  ['hints of registerJob', hints],
  [
    'registerJob',
    [
      ...ofAnyCall,
      { leaseSeconds: '1' },
      { leaseSeconds: 0 },
      { leaseSeconds: 604_801 },
      { waitSeconds: 241 },
      { waitSeconds: -1 },
      { waitSeconds: null },
    ],
  ],
  ['registered.info', ofAnyCall],
  [
    'the grant of registered.issueTicket',
    [...rights, { expiresInSeconds: 0 }, { expiresInSeconds: 86_401 }, { expiresInSeconds: '60' }],
  ],
  ['registered.issueTicket', ofAnyCall],
  ['the grant of registered.s3Credentials', [...rights, { expiresInSeconds: 60 }]],
  ['registered.s3Credentials', ofAnyCall],
  ['registered.presign', presigned],
  ['registered.renew', ofAnyCall],
  ['hints of registered.resize', hints],
  ['registered.resize', ofAnyCall],
  ['registered.deregister', ofAnyCall],
  ['kept.list', [...ofAnyCall, { prefix: null }, { prefix: 7 }, { prefix: half }, { prefix: 'a\0' }]],
  ['kept.get', ofAnyCall],
  ['kept.delete', ofAnyCall],
  [
    'the name of kept.get',
    [
      { job: 7, key: 'k' },
      { job: 'j', key: half },
      { job: 'j', bucket: null, key: 'k' },
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
    () => untyped.statMany('k'),
    () => job.statMany([half]),
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
