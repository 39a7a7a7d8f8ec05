import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { tempDir } from '../fixture/temp-dir.ts'

const run = promisify(execFile)
const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the drain suite runs on tiny inputs: no call fails, no answer is wrong, and the result is written down', async () => {
  const dir = await tempDir()
  const { stdout } = await run(process.execPath, [main, 'drain', '--tiny', '--results', dir])
  expect(stdout).toContain('no call failed, no answer was wrong')
  const file = (await readdir(dir)).find((name) => name.endsWith('.json')) ?? ''
  const result = JSON.parse(await readFile(join(dir, file), 'utf8'))
  expect(result).toMatchObject({ suite: 'drain', failures: [] })
  expect(result.rows).toHaveLength(5)
  expect(result.goals).toHaveLength(3)
}, 60_000)

test('a suite that does not exist is answered with the ones that do', async () => {
  await expect(run(process.execPath, [main, 'nothing'])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('drain'),
  })
})
