import { expect, test } from 'vitest'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the placements suite runs on tiny inputs with one server and with two, and no call fails', async () => {
  const args = [main, 'placements', '--tiny', '--json', '--results', await tempDir()]
  const { stdout } = await runProgram(args)
  const report = JSON.parse(stdout) as { rows: (string | number)[][]; failures: string[] }
  expect(report.failures).toEqual([])
  expect(report.rows.map(([, servers]) => servers)).toEqual([1, 2, 1, 2, 1, 2])
  for (const [name, , perSecond] of report.rows) expect(Number(perSecond), String(name)).toBeGreaterThan(0)
})
