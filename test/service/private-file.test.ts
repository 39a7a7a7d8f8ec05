import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readPrivateFile, requirePrivate } from '../../service/process/private-file.ts'
import { tempDir } from '../fixture/temp-dir.ts'

test('a secret that only its owner may read is read', async () => {
  const path = join(await tempDir(), 'secret')
  writeFileSync(path, 'text', { mode: 0o600 })
  expect(readPrivateFile(path)).toBe('text')
})

test.each([0o640, 0o604, 0o620, 0o602])(
  'a file of mode %o is refused by name, with what mends it',
  async (mode) => {
    const path = join(await tempDir(), 'secret')
    writeFileSync(path, 'text')
    chmodSync(path, mode)
    const reason = `Other users may read or change ${path} (mode ${mode.toString(8)}); run \`chmod 600 ${path}\``
    expect(() => readPrivateFile(path)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }))
    expect(() => readPrivateFile(path)).toThrow(reason)
  },
)

test('a folder is refused with the mode that a folder needs, and one that is missing passes', async () => {
  const dir = join(await tempDir(), 'state')
  expect(() => requirePrivate(dir)).not.toThrow()
  mkdirSync(dir, { mode: 0o755 })
  expect(() => requirePrivate(dir)).toThrow(`chmod 700 ${dir}`)
})
