import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { KeptFolder } from '../../../service/kept/kept-folder.ts'
import { KEPT_INCOMING_MS_MAX } from '../../../service/kept/kept-limits.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { keptContract } from './kept-contract.ts'

keptContract('in a folder', async () => {
  const dir = await tempDir()
  return async (clock) => new KeptFolder(dir, clock)
})

const { clock } = systemRuntime
const nothing = Buffer.alloc(0)

async function* once(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

test('an object is a plain file under job, bucket and key', async () => {
  const dir = await tempDir()
  const name = { job: 'j-a', bucket: 'out', key: 'x/y.txt' }
  await new KeptFolder(dir, clock).put(name, { bytes: 5, expiresAtMs: 0, about: nothing }, once('plain'))
  expect(await readFile(join(dir, 'kept', 'j-a', 'out', 'x', 'y.txt'), 'utf8')).toBe('plain')
  expect(readdirSync(join(dir, 'kept-incoming'))).toEqual([])
})

test('a key that is a folder of another kept key is refused, and the other stays', async () => {
  const store = new KeptFolder(await tempDir(), clock)
  const nameOf = (key: string) => ({ job: 'j-a', bucket: 'out', key })
  await store.put(nameOf('a'), { bytes: 1, expiresAtMs: 0, about: nothing }, once('1'))
  await store.put(nameOf('b/c'), { bytes: 1, expiresAtMs: 0, about: nothing }, once('2'))
  for (const key of ['a/b', 'b']) {
    const refused = store.put(nameOf(key), { bytes: 1, expiresAtMs: 0, about: nothing }, once('3'))
    await expect(refused).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining(key),
    })
    expect(await store.stat(nameOf(key))).toBeNull()
    expect(await store.remove(nameOf(key))).toBe(false)
  }
  expect(await store.list({ prefix: '', after: '', limit: 9 })).toMatchObject([{ key: 'a' }, { key: 'b/c' }])
})

test('what a process that was killed left half-written is not seen, and is gone after a day', async () => {
  const dir = await tempDir()
  const store = new KeptFolder(dir, clock)
  const incoming = join(dir, 'kept-incoming')
  mkdirSync(incoming)
  writeFileSync(join(incoming, 'old'), 'half')
  writeFileSync(join(incoming, 'new'), 'half')
  const longAgo = (Date.now() - KEPT_INCOMING_MS_MAX) / 1000 - 60
  utimesSync(join(incoming, 'old'), longAgo, longAgo)
  expect(await store.list({ prefix: '', after: '', limit: 9 })).toEqual([])
  await store.sweep(() => true)
  expect(readdirSync(incoming)).toEqual(['new'])
})
