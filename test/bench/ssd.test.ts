import { expect, test } from 'vitest'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the SSD suite runs on tiny inputs, and no read gives anything but what was written', async () => {
  const args = [main, 'ssd', '--tiny', '--results', await tempDir()]
  const { stdout } = await runProgram(args)
  expect(stdout).toContain('no call failed, no answer was wrong')
  expect(stdout.match(/SSD tier/g)).toHaveLength(3)
})
