import { expect, test } from 'vitest'
import { needPeer } from '../fixture/peers.ts'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the tiers suite measures a job larger than RAM on every system, and nothing of it is lost but where it is evicted', async (context) => {
  needPeer('redis', context)
  needPeer('minio', context)
  const args = [main, 'tiers', '--tiny', '--json', '--results', await tempDir()]
  const report = JSON.parse((await runProgram(args)).stdout)
  expect(report).toMatchObject({ suite: 'tiers', notes: [], failures: [] })
  expect(report.rows).toHaveLength(6)
  const lostAt = report.columns.indexOf('lost reads')
  for (const [index, row] of report.rows.entries()) {
    if (row[1] === 'Redis, allkeys-lru') expect(row[lostAt], `row ${index}`).not.toBe('0.0 %')
    else expect(row[lostAt], `row ${index}`).toBe('0.0 %')
  }
})
