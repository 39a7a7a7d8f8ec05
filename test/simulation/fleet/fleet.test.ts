import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runProgram } from '../../fixture/run-program.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { compare, systems } from './compare.ts'
import { pricePerHour, redisPrice } from './prices.ts'
import { applications, profileOf, sizes } from './workload.ts'

test("prices reproduce Pocket's Table 4, dollars per hour", () => {
  const redis = applications.map((each) => redisPrice(sizes[each].nodes).toFixed(3))
  expect(redis).toEqual(['5.320', '1.596', '1.596'])
  const pocket = applications.map((each) =>
    pricePerHour({ nodes: sizes[each].nodes, flashGb: sizes[each].dataGb }).toFixed(4),
  )
  expect(pocket).toEqual(['2.1648', '0.6483', '0.6480'])
})

test('jobs move at their peak what Pocket measured, and hold nothing when they end', () => {
  for (const application of applications) {
    const { bytes, bytesPerSecond, peakBytes, dataBytes } = profileOf(application, 1)
    expect(Math.max(...bytesPerSecond) / 1e9).toBeCloseTo(sizes[application].peakGbps)
    expect(peakBytes).toBeLessThanOrEqual(dataBytes * (1 + 1e-9))
    expect(bytes.at(-1)).toBeLessThan(0.01 * dataBytes)
  }
})

test.each([applications, ...applications.map((each) => [each])].map((mix) => ({ mix, of: mix.join(' + ') })))(
  'what is reserved for $of costs a quarter of Redis at most and less than what Pocket reserves, and jobs take as long',
  ({ mix }) => {
    const { rows, mayfly } = compare({
      mix,
      jobs: 600,
      seconds: 2_400,
      nodesMax: 200,
      seed: '1',
    })
    const [redis, pocket, own] = [systems.redis, systems.pocket, systems.mayfly].map((system) =>
      rows.find((row) => row.system === system),
    )
    expect(own?.reservedPerHour).toBeLessThan(0.25 * (redis?.pricePerHour ?? 0))
    expect(own?.reservedPerHour).toBeLessThan(pocket?.reservedPerHour ?? 0)
    expect(own?.slowDown?.mean).toBeLessThan(1.05)
    expect(mayfly.fullSeconds).toBe(0)
  },
)

test('a fleet is simulated with the same result each time, and drawn as a page that loads nothing', async () => {
  const out = join(await tempDir(), 'fleet.html')
  const simulate = async (): Promise<string> => {
    const order = ['fleet', '--jobs', '60', '--seconds', '120', '--nodes', '50', '--out', out]
    const { stdout } = await runProgram(['test/simulation/run.js', ...order])
    // The durations of decisions depend on the machine.
    return stdout.replace(/^.*registrations, ms.*$/gm, '').replace(/^.*a decision:.*$/m, '')
  }
  const first = await simulate()
  expect(await simulate()).toBe(first)
  expect(first).toContain('sort + video + compile: 60 jobs')
  expect(first).toMatch(/(holds|FALLS SHORT) +sort: /)
  const page = await readFile(out, 'utf8')
  expect(page).toContain('<polyline')
  expect(page).not.toMatch(/(src|href)=/)
})

test('a part of the simulation that does not exist, or a number that is none, is refused by name', async () => {
  const failing = async (...order: string[]): Promise<string> =>
    await runProgram(['test/simulation/run.js', ...order]).then(
      () => 'no error',
      ({ stderr }: { stderr: string }) => stderr,
    )
  expect(await failing('flock')).toContain('nothing to simulate is called flock')
  expect(await failing('fleet', '--jobs', 'many')).toContain('--jobs is not a whole number from 1')
})
