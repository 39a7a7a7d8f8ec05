import { expect, onTestFinished, test } from 'vitest'
import { asMayflyError, isOwnFault } from '../../../protocol/errors.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import type { Claims } from '../../../protocol/model/token.ts'
import type { Operation } from '../../../protocol/operations/operation.ts'
import { operations } from '../../../protocol/operations/operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { clusterToken } from '../../../service/process/cluster-token.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { budgetFields } from '../support/requests.ts'

/** A row of docs/security.md: what a ticket has to grant, or that only the cluster's processes may call it. */
interface Rule {
  readonly at: 'node' | 'metadata'
  readonly needs: readonly ('read' | 'write')[] | 'any' | 'none' | 'cluster'
  /** Whether a ticket for some keys is checked against the key, or cannot be used at all. */
  readonly keys?: 'checked' | 'all'
  /** Additional fields of the request. */
  readonly with?: Readonly<Record<string, unknown>>
}

const reading: Rule = { at: 'node', needs: ['read'], keys: 'checked' }
const writing: Rule = { at: 'node', needs: ['write'], keys: 'checked' }
const metadata: Rule = { at: 'metadata', needs: 'any' }
const plane = (at: Rule['at']): Rule => ({ at, needs: 'cluster' })

type Name = keyof typeof operations | 'consume'

const rules: Readonly<Record<Name, Rule>> = {
  put: writing,
  get: reading,
  consume: { ...reading, needs: ['read', 'write'], with: { consume: true } },
  stat: reading,
  list: reading,
  delete: writing,
  append: writing,
  deleteMany: writing,
  getMany: reading,
  statMany: reading,
  waitMany: reading,
  putMany: writing,
  putBegin: writing,
  putRenew: writing,
  putCommit: writing,
  putAbort: writing,
  chunkPut: writing,
  chunkGet: reading,
  readRenew: reading,
  readEnd: reading,
  // Concerns the connection itself.
  settle: { at: 'node', needs: 'none' },
  cancel: { at: 'node', needs: 'none' },
  ping: { at: 'node', needs: 'none' },
  placement: metadata,
  locate: { ...metadata, keys: 'checked', with: { bucket: 'default' } },
  buckets: metadata,
  jobServer: metadata,
  bucketCreate: { at: 'metadata', needs: ['write'], keys: 'all' },
  bucketDelete: { at: 'metadata', needs: ['write'], keys: 'all' },
  jobCreate: plane('metadata'),
  jobShares: plane('metadata'),
  jobEnd: plane('metadata'),
  jobMove: plane('metadata'),
  jobTake: plane('metadata'),
  jobs: plane('metadata'),
  nodesDied: plane('metadata'),
  heartbeat: plane('metadata'),
  jobBuckets: plane('metadata'),
  own: plane('node'),
  jobDrop: plane('node'),
  release: plane('node'),
  settled: plane('node'),
  drop: plane('node'),
  vote: plane('node'),
  slotIndex: plane('node'),
  pull: plane('node'),
  chunk: plane('node'),
  keptChunk: plane('node'),
  versionsAlive: plane('node'),
  // Greetings have tests of their own (hello.test.ts); a receipt is for clients.
  challenge: { at: 'node', needs: 'none' },
  hello: { at: 'node', needs: 'none' },
  renew: { at: 'node', needs: 'none' },
  receipt: { at: 'node', needs: 'none' },
}

const greetings: readonly string[] = ['challenge', 'hello', 'renew', 'receipt', 'ping', 'cancel']

/** The fields of all requests by name. */
function request(key: string, sequence: number): Record<string, unknown> {
  const bytes = Buffer.from(key)
  return {
    ...{ epoch: 1, bucket: 0, key: bytes, keys: [bytes], prefix: bytes, after: Buffer.alloc(0) },
    ...{ lane: 0, sequence, lanes: [], consume: false, waitMs: 1, version: 1, lease: 1, index: 0 },
    ...{ offset: 0, length: 0, limit: 10, acceptHoles: false, listing: 0, slots: Buffer.alloc(8, 255) },
    ...{ condition: 0, ifVersion: 0, ttlSeconds: 0, metadata: [], checksum: null, keptBucket: '' },
    ...{ checksums: [], lengths: [0], conditions: [], ifVersions: [], manifest: null, known: 0, slot: 0 },
    ...{
      job: 'j-1',
      name: 'other',
      request: Buffer.alloc(16, sequence),
      id: 0,
      shares: [],
      term: 0,
      page: 0,
    },
    ...{
      readsPerThousand: null,
      last: false,
      nodes: [],
      node: 'n-9',
      jobs: [],
      target: { id: '', address: '' },
    },
    ...{ generation: 0, revision: 0, owned: [], buckets: { next: 0, living: [] }, versions: [], entries: [] },
    ...{ chunks: [], openPuts: [], readLeases: [], lostKeys: [], kept: [], items: [], frames: 0 },
    ...budgetFields,
  }
}

/** Fields that have another type in one operation. */
const others: Readonly<Record<string, Record<string, unknown>>> = {
  getMany: { checksums: false },
  putMany: { ttlSeconds: [] },
  putCommit: { manifest: [] },
  own: { metadata: '', slots: 64 },
  release: { metadata: '', slots: [] },
  settled: { slots: [] },
  drop: { metadata: '', slots: [] },
  vote: { server: '', generation: 1 },
  jobCreate: { slots: 64 },
}

async function start() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const job = await open(ticket)
  for (const key of ['a/1', 'b/1']) await job.put(key, key)
  await job.createBucket('other')
  const { placement } = parseTicket(ticket)
  let sequence = 0
  const asker = (claims: Partial<Claims> | 'cluster') => {
    const token =
      claims === 'cluster'
        ? clusterToken(planes.secret, Date.now())
        : parseTicket(planes.ticket('j-1', placement, claims)).token
    const pool = new CallerPool({ dial: dialTcp, runtime: systemRuntime, token: () => token })
    onTestFinished(() => pool.close())
    /** Resolves with the error's code, or with the answer. */
    return async (name: Name, key: string): Promise<unknown> => {
      const { at, with: more } = rules[name]
      const operation = operations[name === 'consume' ? 'get' : name] as Operation<unknown, unknown>
      const address = at === 'node' ? node.address : planes.metadataAddress
      const head = { ...request(key, ++sequence), ...others[name], ...more }
      const payload = name === 'append' || name === 'chunkPut' || name === 'put' ? Buffer.alloc(1) : undefined
      try {
        const caller = await pool.to(address)
        const bounds = { deadlineMs: performance.now() + 5_000 }
        return (await caller.call(operation, head, { ...bounds, ...(payload && { payload }) })).head
      } catch (error) {
        // A request that cannot be encoded is a fault of this test.
        if (isOwnFault(error)) throw error
        return asMayflyError(error).code
      }
    }
  }
  return { asker, job }
}

test('there is a rule for every operation', () => {
  expect(Object.keys(rules).sort()).toEqual([...Object.keys(operations), 'consume'].sort())
})

const names = (Object.keys(rules) as Name[]).filter((name) => !greetings.includes(name))

test('each operation is for tickets that grant its rights, or for the cluster alone', async () => {
  const { asker } = await start()
  const tickets = {
    read: asker({ write: false }),
    write: asker({ read: false }),
    both: asker({}),
    neither: asker({ read: false, write: false }),
  }
  for (const name of names) {
    const { needs } = rules[name]
    const passes = async (ask: (name: Name, key: string) => Promise<unknown>): Promise<boolean> =>
      (await ask(name, 'a/1')) !== 'FORBIDDEN'
    const seen = {
      read: await passes(tickets.read),
      write: await passes(tickets.write),
      neither: await passes(tickets.neither),
      both: await passes(tickets.both),
    }
    const isFor = (...rights: string[]): boolean =>
      needs === 'none' ||
      (needs === 'any'
        ? rights.length > 0
        : needs !== 'cluster' && needs.every((need) => rights.includes(need)))
    expect([name, seen]).toEqual([
      name,
      { read: isFor('read'), write: isFor('write'), neither: isFor(), both: isFor('read', 'write') },
    ])
  }
})

test('a ticket for some keys reaches and learns nothing of another, whether it is there or not', async () => {
  const { asker, job } = await start()
  const ask = asker({ prefix: Buffer.from('a/') })
  for (const name of names) {
    const { keys, needs } = rules[name]
    if (needs === 'cluster') continue
    const [there, absent, shorter, own] = [
      await ask(name, 'b/1'),
      await ask(name, 'b/2'),
      await ask(name, 'a'),
      await ask(name, 'a/1'),
    ]
    if (keys === undefined) expect([name, there]).not.toEqual([name, 'FORBIDDEN'])
    else expect([name, there, absent]).toEqual([name, 'FORBIDDEN', 'FORBIDDEN'])
    // A listing beyond what the ticket grants returns only what is granted.
    if (keys !== undefined && name !== 'list') expect([name, shorter]).toEqual([name, 'FORBIDDEN'])
    if (keys !== 'all') expect([name, own]).not.toEqual([name, 'FORBIDDEN'])
  }
  expect(String(await job.get('b/1'))).toBe('b/1')
  expect(await job.exists('b/2')).toBe(false)
})

test("what is the cluster's own cannot reach objects", async () => {
  const { asker } = await start()
  const ask = asker('cluster')
  for (const name of names)
    if (rules[name].at === 'node' && Array.isArray(rules[name].needs))
      expect([name, await ask(name, 'a/1')]).toEqual([name, 'FORBIDDEN'])
})
