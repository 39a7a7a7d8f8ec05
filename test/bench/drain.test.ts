import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the drain suite runs on tiny inputs: no call fails, no answer is wrong, and the result is written down', async () => {
  const dir = await tempDir()
  const { stdout } = await runProgram([main, 'drain', '--tiny', '--results', dir])
  expect(stdout).toContain('no call failed, no answer was wrong')
  const file = (await readdir(dir)).find((name) => name.endsWith('.json')) ?? ''
  const result = JSON.parse(await readFile(join(dir, file), 'utf8'))
  expect(result).toMatchObject({ suite: 'drain', failures: [] })
  expect(result.rows).toHaveLength(5)
  expect(result.goals).toHaveLength(3)
})

test('a suite that does not exist is answered with the ones that do', async () => {
  await expect(runProgram([main, 'nothing'])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('drain'),
  })
})
