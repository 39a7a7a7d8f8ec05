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
const lasting = { expiresAtMs: 0, about: Buffer.alloc(0), stamp: { bucketId: 0, version: 1 } }

async function* once(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

test('an object is a plain file under job, bucket and key', async () => {
  const dir = await tempDir()
  const name = { job: 'j-a', bucket: 'out', key: 'x/y.txt' }
  await new KeptFolder(dir, clock).put(name, { bytes: 5, ...lasting }, once('plain'))
  expect(await readFile(join(dir, 'kept', 'j-a', 'out', 'x', 'y.txt'), 'utf8')).toBe('plain')
  expect(readdirSync(join(dir, 'kept-incoming'))).toEqual([])
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
  expect(await store.list({ prefix: '', after: '', limit: 9 })).toEqual({ names: [], next: null })
  await store.sweep(() => true)
  expect(readdirSync(incoming)).toEqual(['new'])
})
