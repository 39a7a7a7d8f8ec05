import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Report } from '../suite.ts'
import { formatPage } from './page.ts'
import { machineOf } from './report.ts'

/** This file is dist/bench/report/results.js; in a clone results are stored in the source tree, elsewhere in the present folder. */
const bench = fileURLToPath(new URL('../../../bench/', import.meta.url))
const resultsDir = existsSync(join(bench, 'main.ts')) ? join(bench, 'results') : 'bench-results'

/** Writes the report as JSON and as a page. Resolves with the paths of the files. */
export async function saveReport(result: {
  name: string
  report: Report
  dir: string | undefined
}): Promise<string[]> {
  const dir = result.dir ?? resultsDir
  const at = new Date().toISOString()
  await mkdir(dir, { recursive: true })
  const file = join(dir, `${result.name}-${at.replaceAll(':', '')}`)
  const { charts: _, ...report } = result.report
  const content = { suite: result.name, at, machine: machineOf(), ...report }
  await writeFile(`${file}.json`, `${JSON.stringify(content, null, 2)}\n`)
  await writeFile(`${file}.html`, formatPage(result.name, result.report))
  return [`${file}.json`, `${file}.html`]
}
