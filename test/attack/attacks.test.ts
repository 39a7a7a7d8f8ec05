import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { putManyRuns } from '../../bench/enforcement/many-runs.ts'
import { BUCKETS_MAX, CHUNK_BYTES, MANIFEST_RUNS_MAX, MANY_KEYS_MAX } from '../../protocol/limits.ts'
import { hashKey } from '../../protocol/model/hash.ts'
import { dataOperations, PutCondition } from '../../protocol/operations/data-operations.ts'
import { FLOOD_MS, judge, LENGTH, printRows } from './support/judge.ts'
import { keysOfOneHash } from './support/keys-of-one-hash.ts'
import { at, get, manyKeys, put } from './support/requests.ts'
import { type Observed, Siege } from './support/siege.ts'

/**
 * All lanes that a session can have, and as many connections as a server accepts besides one for each plane. Only `npm run attack` uses these numbers, as they
 * take a minute each.
 */
const LANES = LENGTH > 1 ? 65_000 : 8_000
const IDLE_CONNECTIONS = LENGTH > 1 ? 9_998 : 1_000
const LEASED_READS = 60_000
const LARGE_MANIFESTS = 200
/** It takes a second or two. The leases alone once made it 33. */
const DRAIN_MS_MAX = 15_000
afterAll(printRows)

interface Attack {
  readonly name: string
  /** What the bystander does meanwhile; gets by default. */
  readonly observed?: Observed
  prepare?(siege: Siege): Promise<unknown>
  run(siege: Siege): Promise<void>
}

const attacks: readonly Attack[] = [
  {
    name: 'a lane that is used again by another operation while a consume is parked in it',
    run: async (siege) => {
      for (let round = 0; round < 50 * LENGTH; round++) {
        const attacker = await siege.connect()
        const parked = { ...at('parked'), ...get, sequence: 1, consume: true, waitMs: 60_000 }
        await attacker.send(await attacker.frame(dataOperations.get, parked))
        await attacker.send(
          await attacker.frame(dataOperations.deleteMany, {
            epoch: 1,
            bucket: 0,
            lane: 0,
            sequence: 1,
            keys: manyKeys,
          }),
        )
        await expect.poll(() => attacker.isClosed).toBe(true)
        await siege.attackersJob.put('parked', 'value')
        expect(String(await siege.attackersJob.get('parked', { consume: true }))).toBe('value')
      }
    },
  },
  {
    name: 'a request id that is used again while a get is parked under it',
    run: async (siege) => {
      for (let round = 0; round < 50 * LENGTH; round++) {
        const attacker = await siege.connect()
        const parked = { ...at('parked'), ...get, consume: true, waitMs: 60_000, sequence: 1 }
        for (const lane of [0, 1])
          await attacker.send(await attacker.frame(dataOperations.get, { ...parked, lane }, undefined, 77))
        await expect.poll(() => attacker.isClosed).toBe(true)
        await siege.attackersJob.put('parked', 'value')
        expect(String(await siege.attackersJob.get('parked', { consume: true }))).toBe('value')
      }
    },
  },
  {
    name: '166,000 keys of one hash',
    run: async (siege) => {
      const keys = keysOfOneHash(166_000)
      expect(new Set(keys.slice(0, 1_000).map((each) => hashKey(each, 0))).size).toBe(1)
      for (let from = 0; from < keys.length; from += MANY_KEYS_MAX) {
        const some = keys.slice(from, from + MANY_KEYS_MAX)
        await siege.attackersJob.putMany(some.map((each) => ({ key: String(each), bytes: Buffer.alloc(1) })))
      }
    },
  },
  {
    name: '1,500 buckets made and deleted, after an object was kept',
    prepare: ({ attackersJob }) => attackersJob.put('kept', 'value', { persist: true }),
    run: async ({ attackersJob }) => {
      for (let from = 0; from < 1_500; from += 50) {
        const names = Array.from({ length: 50 }, (_, index) => `bucket-${from + index}`)
        await Promise.all(names.map((name) => attackersJob.createBucket(name)))
        await Promise.all(names.map((name) => attackersJob.deleteBucket(name)))
      }
    },
  },
  {
    name: 'as many buckets as a job may have, beside a client that asks for its placement',
    observed: 'placement',
    run: async ({ attackersJob }) => {
      for (let from = 0; from < BUCKETS_MAX - 50; from += 50) {
        const names = Array.from({ length: 50 }, (_, index) => `bucket-${from + index}`)
        await Promise.all(names.map((name) => attackersJob.createBucket(name)))
      }
      await sleep(FLOOD_MS)
    },
  },
  {
    name: `a drain of ${LEASED_READS} read leases and of ${LARGE_MANIFESTS} manifests of the most runs`,
    prepare: async (siege) => {
      await siege.attackersJob.put('leased', Buffer.alloc(2 * CHUNK_BYTES))
      for (let index = 0; index < LARGE_MANIFESTS; index++)
        await putManyRuns(siege.attackersTicket, `runs-${index}`)
      const attacker = await siege.connect()
      for (let from = 0; from < LEASED_READS; from += 500) {
        const frames = Array.from({ length: 500 }, () =>
          attacker.frame(dataOperations.get, { ...at('leased'), ...get }),
        )
        await attacker.send(Buffer.concat(await Promise.all(frames)))
        await attacker.heard()
      }
      expect(attacker.refused).toBeLessThan(LEASED_READS / 100)
    },
    run: async (siege) => {
      expect(await siege.drainAttacker()).toBeLessThan(DRAIN_MS_MAX)
      expect((await siege.attackersJob.stat('runs-0'))?.bytes).toBeGreaterThan(MANIFEST_RUNS_MAX)
      expect((await siege.attackersJob.get('leased')).length).toBe(2 * CHUNK_BYTES)
    },
  },
  {
    name: '20,000 gets that are parked',
    run: async (siege) => {
      const attackers = await Promise.all(Array.from({ length: 4 }, () => siege.connect()))
      for (const attacker of attackers) {
        for (let batch = 0; batch < 10; batch++) {
          const frames = Array.from({ length: 500 }, (_, index) =>
            attacker.frame(dataOperations.get, { ...at(`parked-${batch}-${index}`), ...get, waitMs: 60_000 }),
          )
          await attacker.send(Buffer.concat(await Promise.all(frames)))
        }
      }
      await sleep(FLOOD_MS)
    },
  },
  {
    name: 'waitMany of 1,000 keys, 500 times',
    run: async (siege) => {
      const attacker = await siege.connect()
      const frame = () =>
        attacker.frame(dataOperations.waitMany, { epoch: 1, bucket: 0, waitMs: 60_000, keys: manyKeys })
      for (let batch = 0; batch < 50; batch++) {
        await attacker.send(Buffer.concat(await Promise.all(Array.from({ length: 10 }, frame))))
      }
      await sleep(FLOOD_MS)
    },
  },
  {
    name: '300 connections with a frame that never ends',
    run: async (siege) => {
      const attackers = await Promise.all(Array.from({ length: 300 }, () => siege.connect()))
      for (const attacker of attackers) {
        const lane = { lane: 0, sequence: 1 }
        const frame = await attacker.frame(
          dataOperations.put,
          { ...at('half'), ...lane, ...put },
          Buffer.alloc(CHUNK_BYTES),
        )
        await attacker.send(frame.subarray(0, 1_000))
      }
      for (const endMs = performance.now() + FLOOD_MS; performance.now() < endMs; await sleep(200)) {
        for (const attacker of attackers) await attacker.send(Buffer.alloc(1))
      }
    },
  },
  {
    name: '50,000 large puts that are begun and never finished',
    run: async (siege) => {
      const attacker = await siege.connect()
      for (let from = 0; from < 50_000; from += 500) {
        const frames = Array.from({ length: 500 }, (_, index) =>
          attacker.frame(dataOperations.putBegin, {
            ...at(`begun-${from + index}`),
            condition: PutCondition.always,
            ifVersion: 0,
          }),
        )
        await attacker.send(Buffer.concat(await Promise.all(frames)))
      }
    },
  },
  {
    name: `${LANES} lanes with a commit that is refused`,
    run: async (siege) => {
      const attacker = await siege.connect()
      const commit = { version: 7, ttlSeconds: 0, manifest: [], metadata: [], keptBucket: '' }
      const conditions = { condition: PutCondition.always, ifVersion: 0 }
      for (let from = 0; from < LANES && !attacker.isClosed; from += 500) {
        const frames = Array.from({ length: 500 }, (_, index) =>
          attacker.frame(dataOperations.putCommit, {
            ...at(`${from + index}-${'x'.repeat(900)}`),
            ...{ lane: from + index, sequence: 1, ...conditions, ...commit },
          }),
        )
        await attacker.send(Buffer.concat(await Promise.all(frames)))
        await attacker.heard()
      }
    },
  },
  {
    name: `${IDLE_CONNECTIONS} idle connections`,
    run: async (siege) => {
      for (let from = 0; from < IDLE_CONNECTIONS; from += 200)
        await Promise.all(
          Array.from({ length: Math.min(200, IDLE_CONNECTIONS - from) }, () => siege.connect()),
        )
      // A new client can still connect.
      for (let round = 0; round < 5; round++) await siege.bystanderComes()
      await expect(siege.attackersJob.get('absent')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    },
  },
]

for (const { name, observed, prepare, run } of attacks) {
  test(
    `${name}: a bystander is served, and keeps what it has`,
    async () => {
      const siege = await Siege.lay()
      await prepare?.(siege)
      judge(name, await siege.endure(() => run(siege), observed))
    },
    120_000 * LENGTH,
  )
}
