import { randomBytes } from 'node:crypto'
import { describe, expect, type TestContext, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import {
  KEPT_ABOUT_BYTES_MAX,
  KEPT_SEGMENT_BYTES_MAX,
  KEPT_SWEEP_PAGE,
} from '../../../service/kept/kept-limits.ts'
import type { KeptName, KeptObject, KeptStore } from '../../../service/kept/kept-store.ts'
import { S3_PART_BYTES } from '../../../service/s3/s3-limits.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'

const name: KeptName = { job: 'j-a', bucket: 'default', key: 'results/final ✓.bin' }

const hasEnded = (job: string): boolean => job === name.job

/** Opens the same store each time within one test. */
export type OpenKept = (clock: VirtualClock) => Promise<KeptStore>

/** What every kept store must do. */
export function keptContract(title: string, prepare: (context: TestContext) => Promise<OpenKept>): void {
  async function openOne(context: TestContext): Promise<{ store: KeptStore; clock: VirtualClock }> {
    const clock = new VirtualClock()
    return { store: await (await prepare(context))(clock), clock }
  }

  describe(`the kept store ${title}`, () => {
    test('has what was put after it is opened again, and nothing at first', async (context) => {
      const open = await prepare(context)
      const clock = new VirtualClock()
      const before = await open(clock)
      expect(await before.stat(name)).toBeNull()
      expect(await before.list({ prefix: '', after: '', limit: 10 })).toEqual([])
      await put(before, name, Buffer.from('kept'))
      const after = await open(clock)
      expect(await after.stat(name)).toEqual({ ...name, bytes: 4, expiresAtMs: 0 })
      expect((await after.get(name, { offset: 0, length: 4 })).toString()).toBe('kept')
      expect((await after.get(name, { offset: 1, length: 2 })).toString()).toBe('ep')
    })

    test('keeps objects of every size', async (context) => {
      const { store } = await openOne(context)
      for (const bytes of [0, 1, 2 * S3_PART_BYTES + 77]) {
        const content = randomBytes(bytes)
        await put(store, name, content)
        expect((await store.stat(name))?.bytes).toBe(bytes)
        expect((await store.get(name, { offset: 0, length: bytes })).equals(content)).toBe(true)
      }
    })

    test('keeps the last put of a name, also where it is shorter', async (context) => {
      const { store } = await openOne(context)
      await put(store, name, Buffer.from('the first one'))
      await put(store, name, Buffer.from('second'))
      expect((await store.get(name, { offset: 0, length: 6 })).toString()).toBe('second')
      expect((await store.stat(name))?.bytes).toBe(6)
    })

    test('a put whose source fails, or gives too little, leaves what was there before', async (context) => {
      const { store } = await openOne(context)
      await put(store, name, Buffer.from('before'))
      async function* broken(): AsyncGenerator<Buffer> {
        yield Buffer.from('half')
        throw new Error('the source broke')
      }
      await expect(store.put(name, { ...lasting, bytes: 2 * S3_PART_BYTES }, broken())).rejects.toThrow()
      const short = store.put(name, { ...lasting, bytes: 10 }, once(Buffer.from('short')))
      await expect(short).rejects.toMatchObject({ code: 'OBJECT_LOST' })
      expect((await store.get(name, { offset: 0, length: 6 })).toString()).toBe('before')
    })

    test('forgets what is removed, and says whether it was there', async (context) => {
      const { store } = await openOne(context)
      await put(store, name, Buffer.from('x'))
      expect(await store.remove(name)).toBe(true)
      expect(await store.remove(name)).toBe(false)
      expect(await store.stat(name)).toBeNull()
      await expect(store.get(name, { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })

    test.for([0, 5, 1_400, 1_401, KEPT_ABOUT_BYTES_MAX])(
      'has %i bytes that were said about an object as long as that is there',
      async (length, context) => {
        const { store, clock } = await openOne(context)
        const about = randomBytes(length)
        expect(await store.about(name)).toBeNull()
        await put(store, name, Buffer.from('x'), { about: randomBytes(2_000) })
        await put(store, name, Buffer.from('y'), { about, expiresAtMs: clock.wallMs() + 1000 })
        expect((await store.about(name))?.equals(about)).toBe(true)
        clock.jump(1000)
        expect(await store.about(name)).toBeNull()
        await put(store, name, Buffer.from('z'), { about })
        await store.remove(name)
        expect(await store.about(name)).toBeNull()
      },
    )

    test('what may not be removed any more stays', async (context) => {
      const { store } = await openOne(context)
      await put(store, name, Buffer.from('x'))
      const fence = (): void => {
        throw new MayflyError('UNAVAILABLE', 'The lease is over')
      }
      await expect(store.remove(name, fence)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect((await store.get(name, { offset: 0, length: 1 })).toString()).toBe('x')
    })

    test('lists names in the order of their bytes, by prefix and in pages', async (context) => {
      const { store } = await openOne(context)
      const names = [
        ['j-a', 'default', 'a'],
        ['j-a', 'default', 'b/c'],
        ['j-a', 'default', 'b/d'],
        ['j-a', 'other', 'a'],
        ['j-ab', 'default', 'ü'],
      ].map(([job = '', bucket = '', key = '']) => ({ job, bucket, key }))
      for (const each of names.toReversed()) await put(store, each, Buffer.from(each.key))
      const keys = async (prefix: string, after: string, limit: number): Promise<string[]> =>
        (await store.list({ prefix, after, limit })).map(({ job, bucket, key }) => `${job}/${bucket}/${key}`)
      const all = names.map(({ job, bucket, key }) => `${job}/${bucket}/${key}`)
      expect(await keys('', '', 10)).toEqual(all)
      expect(await keys('j-a/', '', 10)).toEqual(all.slice(0, 4))
      expect(await keys('j-a/default/b', '', 10)).toEqual(all.slice(1, 3))
      expect(await keys('', '', 2)).toEqual(all.slice(0, 2))
      expect(await keys('', all[1] ?? '', 2)).toEqual(all.slice(2, 4))
      expect(await keys('j-none/', '', 2)).toEqual([])
      expect(await store.list({ prefix: 'j-ab/', after: '', limit: 1 })).toEqual([
        { ...names[4], bytes: 2, expiresAtMs: 0 },
      ])
    })

    test('an object is not seen from the moment that its time is over, and a sweep frees it', async (context) => {
      const { store, clock } = await openOne(context)
      const other = { ...name, key: 'stays' }
      await put(store, name, Buffer.from('x'), { expiresAtMs: clock.wallMs() + 1000 })
      await put(store, other, Buffer.from('y'))
      expect((await store.stat(name))?.expiresAtMs).toBe(clock.wallMs() + 1000)
      expect(await store.sweep(hasEnded)).toBe(0)
      clock.jump(1000)
      expect(await store.stat(name)).toBeNull()
      await expect(store.get(name, { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(await store.list({ prefix: '', after: '', limit: 10 })).toMatchObject([{ key: 'stays' }])
      expect(await store.sweep(hasEnded)).toBe(1)
      expect(await store.sweep(hasEnded)).toBe(0)
      expect(await store.remove(name)).toBe(false)
    })

    test('a sweep leaves what was put anew with more time, or for good', async (context) => {
      const { store, clock } = await openOne(context)
      const good = { ...name, key: 'for good' }
      for (const each of [name, good])
        await put(store, each, Buffer.from('old'), { expiresAtMs: clock.wallMs() + 1000 })
      await put(store, name, Buffer.from('new'), { expiresAtMs: clock.wallMs() + 5000 })
      await put(store, good, Buffer.from('new'))
      clock.jump(2000)
      expect(await store.sweep(hasEnded)).toBe(0)
      for (const each of [name, good])
        expect((await store.get(each, { offset: 0, length: 3 })).toString()).toBe('new')
      clock.jump(4000)
      expect(await store.sweep(hasEnded)).toBe(1)
      expect(await store.stat(good)).not.toBeNull()
    })

    test('a sweep leaves what has expired of a job that has not ended, and goes on behind it', async (context) => {
      const { store, clock } = await openOne(context)
      const living = { ...name, job: 'j-living' }
      const keys = Array.from({ length: KEPT_SWEEP_PAGE }, (_, index) => `${index}`)
      await Promise.all(
        keys.map((key) =>
          put(store, { ...living, key }, Buffer.alloc(0), { expiresAtMs: clock.wallMs() + 1 }),
        ),
      )
      await put(store, name, Buffer.from('x'), { expiresAtMs: clock.wallMs() + 2 })
      clock.jump(1000)
      expect(await store.sweep(hasEnded)).toBe(1)
      expect(await store.sweep(() => true)).toBe(KEPT_SWEEP_PAGE)
    })

    test.for([
      '../../etc/passwd',
      'a//b',
      'a/./b',
      '/a',
      'a/',
      'x'.repeat(KEPT_SEGMENT_BYTES_MAX + 1),
      `${'x/'.repeat(500)}x`,
    ])('refuses a key that no folder can have: %s', async (key, context) => {
      const { store } = await openOne(context)
      await expect(put(store, { ...name, key }, Buffer.from('x'))).rejects.toMatchObject({
        code: 'BAD_REQUEST',
      })
      await expect(store.stat({ ...name, key })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    })

    test('a job or bucket that would lead out of the store is refused', async (context) => {
      const { store } = await openOne(context)
      for (const bad of [{ job: '..' }, { bucket: '..' }, { job: '' }])
        await expect(store.stat({ ...name, ...bad })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    })
  })
}

const lasting: Omit<KeptObject, 'bytes'> = { expiresAtMs: 0, about: Buffer.from('about') }

async function put(
  store: KeptStore,
  at: KeptName,
  content: Buffer,
  object: Partial<KeptObject> = {},
): Promise<void> {
  await store.put(at, { ...lasting, bytes: content.length, ...object }, once(content))
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += 1_000_000) yield bytes.subarray(from, from + 1_000_000)
}
