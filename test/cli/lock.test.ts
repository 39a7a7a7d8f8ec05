import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { takeLock } from '../../cli/up/lock.ts'

let dir: string
let path: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mayfly-test-'))
  path = join(dir, 'state', 'lock')
})
afterEach(() => rmSync(dir, { recursive: true }))

test('a lock is held until it is given back, and leaves nothing', () => {
  const release = takeLock(path)
  expect(() => takeLock(path)).toThrow(`Process ${process.pid} runs a cluster in ${join(dir, 'state')}`)
  release()
  expect(readdirSync(join(dir, 'state'))).toEqual([])
  takeLock(path)()
})

test('the lock of a process that is gone is taken over', async () => {
  takeLock(path)()
  const child = spawn(process.execPath, ['-e', ''])
  await new Promise((resolve) => child.once('exit', resolve))
  writeFileSync(path, `${child.pid} 123\n`)
  const release = takeLock(path)
  expect(readFileSync(path, 'utf8')).toMatch(new RegExp(`^${process.pid} `))
  release()
  expect(existsSync(path)).toBe(false)
})

test.runIf(process.platform === 'linux')(
  'a process that got the id of the owner later is not the owner',
  () => {
    takeLock(path)()
    writeFileSync(path, `${process.pid} 1\n`)
    takeLock(path)()
  },
)

test.each(['', 'garbage', '-1 5\n', '0 5\n'])('a lock file with %j in it is stale', (content) => {
  takeLock(path)()
  writeFileSync(path, content)
  takeLock(path)()
})
