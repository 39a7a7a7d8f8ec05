import { mkdirSync, readdirSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { PersistedFolder } from '../../../service/persisted/persisted-folder.ts'
import { PERSISTED_INCOMING_MS_MAX } from '../../../service/persisted/persisted-limits.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { persistedContract } from './persisted-contract.ts'

persistedContract('in a folder', async () => {
  const dir = await tempDir()
  return async (clock) => new PersistedFolder(dir, clock)
})

const { clock } = systemRuntime
const lasting = { expiresAtMs: 0, about: Buffer.alloc(0), stamp: { bucketId: 0, version: 1 } }

async function* once(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

test('an object is a plain file under job, bucket and key', async () => {
  const dir = await tempDir()
  const name = { job: 'j-a', bucket: 'out', key: 'x/y.txt' }
  await new PersistedFolder(dir, clock).put(name, { bytes: 5, ...lasting }, once('plain'))
  expect(await readFile(join(dir, 'kept', 'j-a', 'out', 'x', 'y.txt'), 'utf8')).toBe('plain')
  expect(readdirSync(join(dir, 'kept-incoming'))).toEqual([])
})

test('what a process that was killed left half-written is not seen, and is gone after a day', async () => {
  const dir = await tempDir()
  const store = new PersistedFolder(dir, clock)
  const incoming = join(dir, 'kept-incoming')
  mkdirSync(incoming)
  writeFileSync(join(incoming, 'old'), 'half')
  writeFileSync(join(incoming, 'new'), 'half')
  const longAgo = (Date.now() - PERSISTED_INCOMING_MS_MAX) / 1000 - 60
  utimesSync(join(incoming, 'old'), longAgo, longAgo)
  expect(await store.list({ prefix: '', after: '', limit: 9 })).toEqual({ names: [], next: null })
  await store.sweep(() => true)
  expect(readdirSync(incoming)).toEqual(['new'])
})

const key = { job: 'j-a', bucket: 'out', key: 'x' }

test('a put that failed says why, also where its half-written file cannot be removed', async () => {
  const dir = await tempDir()
  const incoming = join(dir, 'kept-incoming')
  async function* failing(): AsyncGenerator<Buffer> {
    yield Buffer.from('half')
    const [name = ''] = readdirSync(incoming)
    unlinkSync(join(incoming, name))
    mkdirSync(join(incoming, name))
    throw new MayflyError('OBJECT_LOST', 'the rest is gone')
  }
  const putting = new PersistedFolder(dir, clock).put(key, { bytes: 5, ...lasting }, failing())
  await expect(putting).rejects.toMatchObject({ code: 'OBJECT_LOST', reason: 'the rest is gone' })
})

test('a removal after which the disk fails does not say that the object is still there', async () => {
  const dir = await tempDir()
  const store = new PersistedFolder(dir, clock)
  await store.put(key, { bytes: 5, ...lasting }, once('plain'))
  const [file = ''] = readdirSync(join(dir, 'kept', 'j-a', 'out'))
  mkdirSync(join(dir, 'kept-expiry', 'j-a', 'out', file), { recursive: true })
  await expect(store.remove(key, null)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(await store.stat(key)).toBeNull()
})

test('a file that replaces another has a later time of change in whole milliseconds, so that neither is taken for the other', async () => {
  const dir = await tempDir()
  const store = new PersistedFolder(dir, clock)
  const path = join(dir, 'kept', 'j-a', 'out', 'x', 'y.txt')
  const put = (version: number): Promise<void> => {
    const stamp = { bucketId: 0, version }
    return store.put(
      { job: 'j-a', bucket: 'out', key: 'x/y.txt' },
      { ...lasting, bytes: 2, stamp },
      once('ab'),
    )
  }
  await put(1)
  for (let version = 2; version < 20; version++) {
    const presentMs = Date.now() + 60_000 + version
    utimesSync(path, presentMs / 1000, presentMs / 1000)
    await put(version)
    expect(Math.round(statSync(path).mtimeMs)).toBe(presentMs + 1)
  }
})
