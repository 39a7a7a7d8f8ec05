import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../../protocol/limits.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { open, Planes, type RunningNode } from '../../fixture/planes.ts'
import { demotedKey, fill, MIB, spaceOf, start as spilling } from '../support/spilling.ts'

async function start(nodeCount = 1) {
  const planes = await Planes.start()
  const nodes = []
  for (let count = 0; count < nodeCount; count++) nodes.push(await planes.startNode())
  const job = await open(await planes.createJob('j-a', nodes))
  const persistedText = async (key: string, bucket = 'default'): Promise<string | null> => {
    const name = { job: 'j-a', bucket, key }
    const found = await planes.persisted.stat(name)
    return found === null
      ? null
      : (await planes.persisted.get(name, { offset: 0, length: found.bytes })).toString()
  }
  return { planes, nodes, job, persistedText }
}

test('I16: a put with persist is in the persistent store when it is answered, and others are not', async () => {
  const { job, persistedText } = await start()
  await job.put('a/b', 'stays', { persist: true })
  await job.put('c', 'goes')
  expect(await persistedText('a/b')).toBe('stays')
  expect(await persistedText('c')).toBeNull()
  expect(await job.stat('a/b')).toMatchObject({ persist: true })
  expect(await job.stat('c')).toMatchObject({ persist: false })
  expect((await job.get('a/b')).toString()).toBe('stays')
})

test('an object of many chunks on several nodes is kept as one', async () => {
  const { planes, job } = await start(3)
  const bytes = randomBytes(7 * CHUNK_BYTES + 123)
  await job.put('large', bytes, { persist: true })
  const kept = await planes.persisted.get(
    { job: 'j-a', bucket: 'default', key: 'large' },
    { offset: 0, length: bytes.length },
  )
  expect(kept.equals(bytes)).toBe(true)
  expect(await job.stat('large')).toMatchObject({ persist: true, bytes: bytes.length })
})

test('putMany and putStream keep what is put with persist, whatever its size', async () => {
  const { job, persistedText } = await start(2)
  const large = 'l'.repeat(2 * CHUNK_BYTES + 5)
  await job.createBucket('out')
  await job.putMany(
    [
      { key: 'kept', bytes: 'stays', persist: true },
      { key: 'plain', bytes: 'goes' },
      { key: 'large', bytes: large, persist: true },
    ],
    { bucket: 'out' },
  )
  await job.putStream('short stream', Readable.from(['a', 'b']), { persist: true })
  await job.putStream('long stream', Readable.from([large]), { persist: true })
  expect(await persistedText('kept', 'out')).toBe('stays')
  expect(await persistedText('plain', 'out')).toBeNull()
  expect(await persistedText('large', 'out')).toBe(large)
  expect(await persistedText('short stream')).toBe('ab')
  expect(await persistedText('long stream')).toBe(large)
})

test('a putMany over persisted objects takes them out of the persistent store, each by its own condition', async () => {
  const { job, persistedText } = await start()
  for (const key of ['a', 'b', 'c']) await job.put(key, 'old', { persist: true })
  const puts = job.putMany([
    { key: 'a', bytes: 'new' },
    { key: 'x', bytes: 'plain' },
    { key: 'b', bytes: 'new', ifAbsent: true },
    { key: 'c', bytes: 'new', ttlSeconds: 60, metadata: { of: 'c' } },
  ])
  await expect(puts).rejects.toMatchObject({ code: 'KEY_EXISTS' })
  const values = (await job.getMany(['a', 'x', 'b', 'c'])).map(String)
  expect(values).toEqual(['new', 'plain', 'old', 'new'])
  expect([await persistedText('a'), await persistedText('b'), await persistedText('c')]).toEqual([
    null,
    'old',
    null,
  ])
  expect((await job.stat('c'))?.metadata).toEqual({ of: 'c' })
})

test('persist that is no flag is refused', async () => {
  const { job } = await start()
  const options = { persist: 'yes' } as unknown as { persist: boolean }
  await expect(job.put('k', 'x', options)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  expect(await job.exists('k')).toBe(false)
})

test('what is kept outlives its job and its node', async () => {
  const { planes, nodes, job, persistedText } = await start()
  await job.put('k', 'stays', { persist: true })
  await planes.ask(placementOperations.jobEnd, { job: 'j-a' })
  await nodes[0]?.stop()
  expect(await persistedText('k')).toBe('stays')
})

test.each([
  ['a put with persist', { persist: true }, 'new'],
  ['a put without', {}, null],
])('%s changes what is kept before it is answered', async (_, options, kept) => {
  const { job, persistedText } = await start()
  await job.put('k', 'old', { persist: true })
  await job.put('k', 'new', options)
  expect(await persistedText('k')).toBe(kept)
  expect((await job.get('k')).toString()).toBe('new')
  expect((await job.stat('k'))?.persist).toBe(kept !== null)
})

test('delete, deleteMany and consume remove what is kept too', async () => {
  const { job, persistedText } = await start()
  const keys = ['a', 'b', 'c', 'd']
  for (const key of keys) await job.put(key, key, { persist: true })
  await job.put('e', 'e')
  expect(await job.delete('a')).toBe(true)
  expect(await job.deleteMany(['b', 'c', 'e', 'none'])).toBe(3)
  expect((await job.get('d', { consume: true })).toString()).toBe('d')
  for (const key of keys) expect([await persistedText(key), await job.exists(key)]).toEqual([null, false])
})

test('a consumer that waits for a key takes along what was put to be kept', async () => {
  const { job, persistedText } = await start()
  const waiting = job.get('k', { consume: true, waitSeconds: 10 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await job.put('k', 'for one', { persist: true })
  expect((await waiting).toString()).toBe('for one')
  expect(await persistedText('k')).toBeNull()
})

test('a consumer that waits for the key of a persisted object which has expired is answered by the next put', async () => {
  const { job, persistedText } = await start()
  await job.put('k', 'old', { persist: true, ttlSeconds: 1 })
  await expect.poll(() => job.exists('k')).toBe(false)
  const waiting = job.get('k', { consume: true, waitSeconds: 10 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await job.put('k', 'new', { persist: true })
  expect((await waiting).toString()).toBe('new')
  expect(await persistedText('k')).toBeNull()
})

test('a bucket that is deleted is not kept either', async () => {
  const { job, persistedText } = await start()
  await job.createBucket('out')
  await job.put('k', 'x', { bucket: 'out', persist: true })
  expect(await persistedText('k', 'out')).toBe('x')
  await job.deleteBucket('out')
  expect(await persistedText('k', 'out')).toBeNull()
})

test('while the persistent store is away a put fails and leaves nothing, and a bucket that is deleted is freed when it is back', async () => {
  const { planes, job, persistedText } = await start()
  await job.createBucket('out')
  await job.put('k', 'old', { bucket: 'out', persist: true })
  const { put, remove } = planes.persisted
  const away = () => Promise.reject(new MayflyError('UNAVAILABLE', 'The persistent store is away'))
  Object.assign(planes.persisted, { put: away, remove: away })
  const at = { bucket: 'out', deadlineMs: 1_000 }
  const failed = { code: expect.stringMatching(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/) }
  await expect(job.put('new', 'x', { ...at, persist: true })).rejects.toMatchObject(failed)
  await expect(job.put('k', 'new', at)).rejects.toMatchObject(failed)
  await expect(job.delete('k', at)).rejects.toMatchObject(failed)
  await expect(job.get('k', { ...at, consume: true })).rejects.toMatchObject(failed)
  expect(await job.exists('new', { bucket: 'out' })).toBe(false)
  expect((await job.get('k', { bucket: 'out' })).toString()).toBe('old')
  expect(await persistedText('k', 'out')).toBe('old')
  await expect(job.deleteBucket('out', { deadlineMs: 1_000 })).rejects.toMatchObject(failed)
  Object.assign(planes.persisted, { put, remove })
  await expect.poll(() => persistedText('k', 'out')).toBeNull()
})

test('a put with persist for which the job has no room leaves nothing in the persistent store', async () => {
  const { job, persistedText } = await start()
  const big = Buffer.alloc(CHUNK_BYTES)
  for (let index = 0; ; index++) {
    const put = job.put(`${index}`, big, { persist: true })
    const failure = await put.then(
      () => null,
      (error: unknown) => error,
    )
    if (failure === null) continue
    expect(failure).toMatchObject({ code: 'CAPACITY_EXCEEDED' })
    expect([await job.exists(`${index}`), await persistedText(`${index}`)]).toEqual([false, null])
    break
  }
})

test('puts of one key at the same time leave the same object in both places', async () => {
  const { job, persistedText } = await start()
  for (let round = 0; round < 10; round++) {
    const puts = Array.from({ length: 8 }, (_, index) =>
      job.put('k', `${round}-${index}`, { persist: index % 3 !== 0 }),
    )
    await Promise.all(puts)
    const here = (await job.get('k')).toString()
    const { persist } = (await job.stat('k')) ?? {}
    expect(await persistedText('k')).toBe(persist ? here : null)
  }
})

test('a condition that does not hold leaves what is kept as it is', async () => {
  const { job, persistedText } = await start()
  await job.put('k', 'old', { persist: true })
  await expect(job.put('k', 'new', { persist: true, ifAbsent: true })).rejects.toMatchObject({
    code: 'KEY_EXISTS',
  })
  await expect(job.put('k', 'new', { persist: true, ifVersion: 1 })).rejects.toMatchObject({
    code: 'VERSION_MISMATCH',
  })
  expect(await persistedText('k')).toBe('old')
})

test('a put whose condition names an object that expires while the persistent store is written leaves nothing in either place', async () => {
  const { planes, job, persistedText } = await start()
  const { version } = await job.put('k', 'old', { ttlSeconds: 1 })
  const { put } = planes.persisted
  const slow: typeof put = async (...args) => {
    await put.apply(planes.persisted, args)
    await sleep(1_200)
  }
  Object.assign(planes.persisted, { put: slow })
  const conditional = job.put('k', 'new', { persist: true, ifVersion: version })
  await expect(conditional).rejects.toMatchObject({ code: 'VERSION_MISMATCH' })
  expect([await job.exists('k'), await persistedText('k')]).toEqual([false, null])
  Object.assign(planes.persisted, { put })
  await job.put('k', 'next', { persist: true, ifAbsent: true })
  expect(await persistedText('k')).toBe('next')
})

test('append is refused on an object that is kept, and any key can be kept', async () => {
  const { job, persistedText } = await start()
  await job.put('k', 'old', { persist: true })
  await expect(job.append('k', 'more')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  expect(await persistedText('k')).toBe('old')
  await job.put('../k', 'x', { persist: true })
  expect([await persistedText('../k'), await persistedText('k')]).toEqual(['x', 'old'])
})

test('a persisted object that moved to another node is overwritten and deleted there as well', async () => {
  const { planes, nodes, job, persistedText } = await start()
  for (const key of ['a', 'b']) await job.put(key, 'old', { persist: true })
  const target = await planes.startNode()
  await planes.ask(placementOperations.jobShares, {
    job: 'j-a',
    readsPerThousand: null,
    shares: planes.shares([target]),
  })
  await expect.poll(async () => nodes[0]?.node.requireJob('j-a').hasSlots).toBe(false)
  expect((await job.stat('a'))?.persist).toBe(true)
  await job.put('a', 'new')
  await job.delete('b')
  expect([await persistedText('a'), await persistedText('b')]).toEqual([null, null])
})

test('the time to live of a persisted object holds in both places, and then its owner frees it in both', async () => {
  const { planes, nodes, job } = await start()
  await job.put('k', 'x', { persist: true, ttlSeconds: 1 })
  const found = await planes.persisted.stat({ job: 'j-a', bucket: 'default', key: 'k' })
  expect(found?.expiresAtMs).toBeGreaterThan(Date.now())
  await expect.poll(() => job.exists('k')).toBe(false)
  expect(await planes.persisted.stat({ job: 'j-a', bucket: 'default', key: 'k' })).toBeNull()
  const keeps = () => nodes[0]?.node.requireJob('j-a').slots.some((slot) => slot?.persisted.empty === false)
  await expect.poll(keeps).toBe(false)
  expect(await planes.persisted.sweep(() => true)).toBe(0)
})

test.each(['append', 'consume'] as const)(
  'I16: an %s that waits for bytes below RAM finds what was put to be kept meanwhile',
  async (what) => {
    const { job, nodes, planes } = await spilling({ ramBytes: 4 * MIB })
    const contents = await fill(job, { count: 400, bytes: 20_000 })
    const key = await demotedKey(job, contents.keys())
    const { tiers } = spaceOf(nodes[0] as RunningNode)
    const read = tiers.read.bind(tiers)
    let goOn = (): void => undefined
    const isPut = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const readLate = async (...of: Parameters<typeof read>): Promise<Buffer> => {
      const bytes = await read(...of)
      await isPut
      return bytes
    }
    Object.assign(tiers, { read: readLate })
    const call = what === 'append' ? job.append(key, 'more') : job.get(key, { consume: true })
    await new Promise((resolve) => setTimeout(resolve, 50))
    await job.put(key, 'kept', { persist: true })
    goOn()
    if (what === 'append') await expect(call).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    else expect(String(await call)).toBe('kept')
    const kept = await planes.persisted.stat({ job: 'j-a', bucket: 'default', key })
    expect(kept === null).toBe(what === 'consume')
  },
)

test('I16: a consumer that waited for a key is answered once its object is gone from the persistent store', async () => {
  const { job, planes } = await start()
  const remove = planes.persisted.remove.bind(planes.persisted)
  const steps: string[] = []
  const removeLate: typeof remove = async (...of) => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    steps.push('removed')
    return await remove(...of)
  }
  Object.assign(planes.persisted, { remove: removeLate })
  const consumers = [1, 2].map(async () => {
    const got = await job.get('k', { consume: true, waitSeconds: 4 }).catch((error) => error.code)
    steps.push(String(got))
  })
  const reader = job.get('k', { waitSeconds: 4 })
  await new Promise((resolve) => setTimeout(resolve, 30))
  await job.put('k', 'kept', { persist: true })
  expect(String(await reader)).toBe('kept')
  await Promise.all(consumers)
  expect(steps).toEqual(['removed', 'kept', 'NOT_FOUND'])
  expect(await planes.persisted.stat({ job: 'j-a', bucket: 'default', key: 'k' })).toBeNull()
})
