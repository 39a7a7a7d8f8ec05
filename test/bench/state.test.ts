import { expect, test } from 'vitest'
import { needPeer } from '../fixture/peers.ts'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the state suite runs on tiny inputs with SQLite and PostgreSQL, and no call fails', async (context) => {
  needPeer('postgres', context)
  const args = [main, 'state', '--tiny', '--json', '--results', await tempDir()]
  const report = JSON.parse((await runProgram(args)).stdout) as {
    rows: (string | number)[][]
    failures: string[]
  }
  expect(report.failures).toEqual([])
  expect(report.rows.map(([, store]) => store)).toEqual([
    ...['SQLite', 'PostgreSQL', 'SQLite', 'PostgreSQL', 'SQLite', 'PostgreSQL'],
    ...['PostgreSQL', 'PostgreSQL'],
  ])
  for (const [name, , figure] of report.rows)
    expect(Number.parseFloat(String(figure)), String(name)).toBeGreaterThan(0)
})
