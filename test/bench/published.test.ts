import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { drawRatios, type Results } from '../../bench/report/ratio-chart.ts'

const root = new URL('../..', import.meta.url).pathname
const suites = ['ops', 'many', 'wait', 'coldstart']
const results = suites.map(
  (suite) => JSON.parse(readFileSync(join(root, 'bench/published', `${suite}.json`), 'utf8')) as Results,
)

test('the chart of the README is drawn from the published results', () => {
  expect(readdirSync(join(root, 'bench/published')).sort()).toEqual(
    suites.map((suite) => `${suite}.json`).sort(),
  )
  expect(readFileSync(join(root, 'docs/images/bench.svg'), 'utf8')).toBe(drawRatios(results))
})

test('each published figure stands in its row of bench/README.md', () => {
  const guide = readFileSync(join(root, 'bench/README.md'), 'utf8').replaceAll(',', '')
  for (const { rows, columns } of results) {
    expect(columns).toEqual(['', 'system', expect.any(String), 'Mayfly to it'])
    for (const [name = '', , figure = '', ratio = ''] of rows) {
      const line = guide.split('\n').find((line) => line.startsWith(`| ${name.replaceAll(',', '')} |`))
      expect(line, name).toBeDefined()
      expect(line).toMatch(new RegExp(`[ |]${figure.replaceAll('.', '\\.')}\\b`))
      expect(line).toContain(ratio)
    }
  }
})
