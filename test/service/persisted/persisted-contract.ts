import { randomBytes } from 'node:crypto'
import { describe, expect, type TestContext, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import {
  PERSISTED_ABOUT_BYTES_MAX,
  PERSISTED_SWEEP_PAGE,
} from '../../../service/persisted/persisted-limits.ts'
import {
  formatName,
  type PersistedName,
  type PersistedObject,
  type PersistedStore,
} from '../../../service/persisted/persisted-store.ts'
import { S3_PART_BYTES } from '../../../service/s3/s3-limits.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'

const name: PersistedName = { job: 'j-a', bucket: 'default', key: 'results/final ✓.bin' }

const hasEnded = (job: string): boolean => job === name.job

/** Opens the same store each time within one test. */
export type OpenPersisted = (clock: VirtualClock) => Promise<PersistedStore>

/** The contract of every persistent store. */
export function persistedContract(
  title: string,
  prepare: (context: TestContext) => Promise<OpenPersisted>,
): void {
  async function openOne(context: TestContext): Promise<{ store: PersistedStore; clock: VirtualClock }> {
    const clock = new VirtualClock()
    return { store: await (await prepare(context))(clock), clock }
  }

  describe(`the persistent store ${title}`, () => {
    test('has what was put after it is opened again, and nothing at first', async (context) => {
      const open = await prepare(context)
      const clock = new VirtualClock()
      const before = await open(clock)
      expect(await before.stat(name)).toBeNull()
      expect(await before.list({ prefix: '', after: '', limit: 10 })).toEqual({ names: [], next: null })
      await put(before, name, Buffer.from('kept'))
      const after = await open(clock)
      expect(await after.stat(name)).toEqual({ ...name, bytes: 4, expiresAtMs: 0, stamp: lasting.stamp })
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
      expect(await store.remove(name, null)).toBe(true)
      expect(await store.remove(name, null)).toBe(false)
      expect(await store.stat(name)).toBeNull()
      await expect(store.get(name, { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })

    test.for([0, 5, 1_400, 1_401, PERSISTED_ABOUT_BYTES_MAX])(
      'has %i bytes that were said about an object as long as that is there',
      async (length, context) => {
        const { store, clock } = await openOne(context)
        const about = randomBytes(length)
        expect(await store.describe(name)).toBeNull()
        await put(store, name, Buffer.from('x'), { about: randomBytes(2_000) })
        await put(store, name, Buffer.from('y'), { about, expiresAtMs: clock.wallMs() + 1000 })
        expect((await store.describe(name))?.about?.equals(about)).toBe(true)
        clock.jump(1000)
        expect(await store.describe(name)).toBeNull()
        await put(store, name, Buffer.from('z'), { about })
        await store.remove(name, null)
        expect(await store.describe(name)).toBeNull()
      },
    )

    test('what may not be removed any more stays', async (context) => {
      const { store } = await openOne(context)
      await put(store, name, Buffer.from('x'))
      const fence = (): void => {
        throw new MayflyError('UNAVAILABLE', 'The lease is over')
      }
      await expect(store.remove(name, null, { fence })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect((await store.get(name, { offset: 0, length: 1 })).toString()).toBe('x')
    })

    test('lists all names once, by prefix and in pages', async (context) => {
      const { store } = await openOne(context)
      const names = [
        ['j-a', 'default', 'a'],
        ['j-a', 'default', 'b/c'],
        ['j-a', 'default', 'b/d'],
        ['j-a', 'default', 'bc.txt'],
        ['j-a', 'other', 'a'],
        ['j-ab', 'default', 'ü'],
      ].map(([job = '', bucket = '', key = '']) => ({ job, bucket, key }))
      for (const each of names.toReversed()) await put(store, each, Buffer.from(each.key))
      const all = names.map(formatName)
      expect((await listed(store, '')).toSorted()).toEqual(all)
      expect((await listed(store, 'j-a/')).toSorted()).toEqual(all.slice(0, 5))
      expect((await listed(store, 'j-a/default/b')).toSorted()).toEqual(all.slice(1, 4))
      expect(await listed(store, 'j-a/default/b/')).toEqual(all.slice(1, 3))
      expect(await listed(store, 'j-none/')).toEqual([])
      for (const limit of [1, 2, 4]) expect((await listed(store, '', limit)).toSorted()).toEqual(all)
    })

    test('an object is not seen from the moment that its time is over, and a sweep frees it', async (context) => {
      const { store, clock } = await openOne(context)
      const other = { ...name, key: 'stays' }
      await put(store, name, Buffer.from('x'), { expiresAtMs: clock.wallMs() + 1000 })
      await put(store, other, Buffer.from('y'))
      expect((await store.stat(name))?.expiresAtMs).toBe(clock.wallMs() + 1000)
      expect(await store.sweep(hasEnded)).toBe(0)
      const stamp = (await store.stat(name))?.stamp ?? undefined
      clock.jump(1000)
      expect(await store.stat(name)).toBeNull()
      await expect(store.get(name, { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      // Whoever names the put decides about its time, by another clock.
      expect(String(await store.get(name, { offset: 0, length: 1 }, stamp))).toBe('x')
      expect(await store.sweep(hasEnded)).toBe(1)
      expect(await store.sweep(hasEnded)).toBe(0)
      expect(await store.remove(name, null)).toBe(false)
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
      const keys = Array.from({ length: PERSISTED_SWEEP_PAGE }, (_, index) => `${index}`)
      await Promise.all(
        keys.map((key) =>
          put(store, { ...living, key }, Buffer.alloc(0), { expiresAtMs: clock.wallMs() + 1 }),
        ),
      )
      await put(store, name, Buffer.from('x'), { expiresAtMs: clock.wallMs() + 2 })
      clock.jump(1000)
      expect(await store.sweep(hasEnded)).toBe(1)
      expect(await store.sweep(() => true)).toBe(PERSISTED_SWEEP_PAGE)
    })

    test('every key that a job takes is kept, listed, found by its prefix and removed, each beside all others', async (context) => {
      const { store } = await openOne(context)
      const names = oddKeys.map((key) => ({ ...name, key }))
      for (const each of names) await put(store, each, Buffer.from(`of ${each.key}`))
      const sorted = (all: string[]) => all.toSorted()
      expect(sorted(await listed(store, ''))).toEqual(sorted(names.map(formatName)))
      expect(sorted(await listed(store, '', 3))).toEqual(sorted(names.map(formatName)))
      for (const each of names) {
        const content = Buffer.from(`of ${each.key}`)
        expect((await store.get(each, { offset: 0, length: content.length })).equals(content)).toBe(true)
        const half = [...formatName(each)].slice(0, -1).join('')
        for (const prefix of [formatName(each), half])
          expect(await listed(store, prefix)).toContain(formatName(each))
      }
      for (const each of names) {
        expect(await store.remove(each, null)).toBe(true)
        expect(await store.stat(each)).toBeNull()
      }
      expect(await listed(store, '')).toEqual([])
    }, 60_000)

    test.for(['', 'nul\0', 'half \ud800', 'x'.repeat(1025)])(
      'refuses what is no key: %j',
      async (key, context) => {
        const { store } = await openOne(context)
        await expect(put(store, { ...name, key }, Buffer.from('x'))).rejects.toMatchObject({
          code: 'BAD_REQUEST',
        })
        await expect(store.stat({ ...name, key })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
      },
    )

    test('a job or bucket that is none is refused, and a prefix leads nowhere else', async (context) => {
      const { store } = await openOne(context)
      for (const bad of [{ job: 'a/b' }, { bucket: '\0' }, { job: '' }, { bucket: 'x'.repeat(101) }])
        await expect(store.stat({ ...name, ...bad })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
      await put(store, name, Buffer.from('x'))
      for (const prefix of ['../', '../../', '/', '..', 'j-a/../', './', 'j-a/default/../', 'j-a//'])
        expect(await listed(store, prefix)).toEqual([])
      for (const prefix of ['\0', '\ud800'])
        await expect(listed(store, prefix)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    })

    test('I25: what has an older stamp replaces and removes nothing, and what is asked for by its stamp is that put', async (context) => {
      const { store } = await openOne(context)
      const at = (bucketId: number, version: number) => ({ stamp: { bucketId, version } })
      await put(store, name, Buffer.from('new'), at(2, 5))
      for (const older of [at(2, 4), at(1, 9)]) {
        const late = put(store, name, Buffer.from('old'), older)
        await expect(late).rejects.toMatchObject({ code: 'STALE_PLACEMENT' })
        expect(await store.remove(name, older.stamp)).toBe(false)
        expect(await store.remove(name, older.stamp, { contended: true })).toBe(false)
        const other = store.get(name, { offset: 0, length: 1 }, older.stamp)
        await expect(other).rejects.toMatchObject({ code: 'NOT_FOUND' })
      }
      expect(String(await store.get(name, { offset: 0, length: 3 }, at(2, 5).stamp))).toBe('new')
      await put(store, name, Buffer.from('next'), at(3, 1))
      expect(await store.stat(name)).toMatchObject({ bytes: 4, ...at(3, 1) })
      expect(await store.remove(name, at(3, 1).stamp, { contended: true })).toBe(true)
      expect(await store.stat(name)).toBeNull()
      expect(await store.remove(name, at(3, 1).stamp)).toBe(false)
      await put(store, name, Buffer.from('again'), at(3, 2))
      expect(String(await store.get(name, { offset: 0, length: 5 }))).toBe('again')
      expect(await store.sweep(hasEnded)).toBe(0)
      expect(await store.remove(name, at(3, 2).stamp)).toBe(true)
    })

    test('a put that may not be made visible any more leaves what was there, whatever its size', async (context) => {
      const { store } = await openOne(context)
      await put(store, name, Buffer.from('before'))
      const fence = (): void => {
        throw new MayflyError('UNAVAILABLE', 'The lease is over')
      }
      for (const bytes of [0, 3, S3_PART_BYTES, S3_PART_BYTES + 1]) {
        const object = { ...lasting, bytes, stamp: { bucketId: 0, version: 9 } }
        const late = store.put(name, object, once(Buffer.alloc(bytes)), { fence })
        await expect(late).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      }
      expect(String(await store.get(name, { offset: 0, length: 6 }))).toBe('before')
    })

    test('puts of one name at the same time end with the newest, also where each believes to be the first', async (context) => {
      const { store } = await openOne(context)
      const versions = [3, 1, 5, 2, 4]
      const outcomes = await Promise.allSettled(
        versions.map((version) => {
          const content = Buffer.from(`v${version}`)
          const object = { ...lasting, bytes: content.length, stamp: { bucketId: 0, version } }
          return store.put(name, object, once(content), { isNew: true })
        }),
      )
      expect(await store.stat(name)).toMatchObject({ stamp: { version: 5 } })
      expect(String(await store.get(name, { offset: 0, length: 2 }))).toBe('v5')
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason.code).toMatch(/STALE_PLACEMENT|UNAVAILABLE/)
    })
  })
}

const oddKeys = [
  'a',
  'a/b',
  'a/b/c',
  'a%',
  'a%/b',
  'a.b',
  'a.b/c.d',
  'a.b%/c',
  'a/',
  'a//',
  'a//b',
  '/',
  '/a',
  '//a',
  '.',
  '..',
  './a',
  '../a',
  '../../etc/passwd',
  'a/./b',
  'a/../b',
  'a/..',
  '%2E',
  '%',
  '%-',
  '%~',
  '%-/x',
  ' ',
  'a b+c',
  'back\\slash',
  '?#&<>"\'',
  'ü/✓/😀',
  'line\nfeed\r',
  'control\u0001',
  'delete\u007f\u0085',
  'none\ufffe',
  'none\uffff/x',
  'x'.repeat(1024),
  `y/${'x'.repeat(1022)}`,
  'x/'.repeat(512),
  `${'x/'.repeat(511)}yz`,
  '✓'.repeat(341),
  '\u0001'.repeat(1024),
  `deep/${'z'.repeat(150)}/${'z'.repeat(150)}/leaf`,
]

const lasting: Omit<PersistedObject, 'bytes'> = {
  expiresAtMs: 0,
  about: Buffer.from('about'),
  stamp: { bucketId: 0, version: 1 },
}

/** All names with the prefix, page by page. */
async function listed(store: PersistedStore, prefix: string, limit = 100): Promise<string[]> {
  const names: string[] = []
  for (let after: string | null = ''; after !== null; ) {
    const page = await store.list({ prefix, after, limit })
    names.push(...page.names.map(formatName))
    after = page.next
  }
  return names
}

async function put(
  store: PersistedStore,
  at: PersistedName,
  content: Buffer,
  object: Partial<PersistedObject> = {},
): Promise<void> {
  await store.put(at, { ...lasting, bytes: content.length, ...object }, once(content))
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += 1_000_000) yield bytes.subarray(from, from + 1_000_000)
}
