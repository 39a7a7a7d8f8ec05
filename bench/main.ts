import { parseArgs } from 'node:util'
import { formatReport, saveReport } from './report.ts'
import type { Suite } from './suite.ts'
import { drain } from './suites/drain.ts'

/** Every suite by its name. */
const suites: ReadonlyMap<string, Suite> = new Map([['drain', drain]])

process.exitCode = await main(process.argv.slice(2))

/** Exit code 1 if a call failed or saw something wrong; a figure that misses its goal is only said to. */
async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { tiny: { type: 'boolean' }, results: { type: 'string' } },
  })
  const [name = ''] = positionals
  const suite = suites.get(name)
  if (suite === undefined) {
    const names = [...suites].map(([known, { summary }]) => `  ${known}: ${summary}`)
    process.stderr.write(`usage: npm run bench -- SUITE [--tiny] [--results DIR]\n${names.join('\n')}\n`)
    return 2
  }
  const report = await suite.run({
    tiny: values.tiny ?? false,
    say: (line) => void process.stderr.write(`${line}\n`),
  })
  process.stdout.write(formatReport(report))
  const file = await saveReport({ name, report, dir: values.results })
  process.stderr.write(`written to ${file}\n`)
  return report.failures.length === 0 ? 0 : 1
}
