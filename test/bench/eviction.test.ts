import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { policies } from '../../bench/eviction/policies.ts'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the eviction suite compares every policy on three traces above two tiers', async () => {
  const dir = await tempDir()
  await runProgram([main, 'eviction', '--tiny', '--results', dir])
  const file = (await readdir(dir)).find((name) => name.endsWith('.json')) ?? ''
  const result = JSON.parse(await readFile(join(dir, file), 'utf8'))
  expect(result.rows).toHaveLength(3 * 2 * policies.size)
  for (const [, , , bytesRatio, timeRatio] of result.rows)
    for (const ratio of [bytesRatio, timeRatio]) expect(Number.parseFloat(ratio)).toBeGreaterThan(0)
})
