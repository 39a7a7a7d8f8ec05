import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Report } from './suite.ts'

/** This file is dist/bench/report.js; results lie beside the sources. */
const resultsDir = fileURLToPath(new URL('../../bench/results/', import.meta.url))

/** As a person reads it: what was measured on what, the table, and which goals it meets. */
export function formatReport(report: Report): string {
  const machine = Object.entries({ ...machineOf(), ...report.settings })
  const goals = report.goals.map(({ name, goal, measured, held }) => [
    name,
    goal,
    measured,
    held ? 'holds' : 'FALLS SHORT',
  ])
  return [
    machine.map(([name, value]) => `${name}: ${value}`).join('\n'),
    formatTable([report.columns, ...report.rows]),
    formatTable([['goal', 'wanted', 'measured', ''], ...goals]),
    report.failures.length === 0 ? 'no call failed, no answer was wrong' : report.failures.join('\n'),
    '',
  ].join('\n\n')
}

/** Writes the report as JSON and gives the file's path. */
export async function saveReport(result: {
  name: string
  report: Report
  dir: string | undefined
}): Promise<string> {
  const dir = result.dir ?? resultsDir
  const at = new Date().toISOString()
  await mkdir(dir, { recursive: true })
  const file = join(dir, `${result.name}-${at.replaceAll(':', '')}.json`)
  const content = { suite: result.name, at, machine: machineOf(), ...result.report }
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`)
  return file
}

/** A table in Markdown, so that it can stand in the README as it is. */
function formatTable(rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map(String))
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  )
  const lines = cells.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  )
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [lines[0], rule, ...lines.slice(1)].join('\n')
}

function machineOf(): Record<string, string> {
  const cores = cpus()
  return {
    machine: `${cores[0]?.model.trim() ?? 'unknown'}, ${cores.length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `Node ${process.version} on ${process.platform}`,
    commit: commitOf(),
  }
}

/** Where the sources came without their history, nobody knows the commit. */
function commitOf(): string {
  try {
    const commit = git('rev-parse', '--short', 'HEAD')
    return git('status', '--porcelain') === '' ? commit : `${commit} with changes`
  } catch {
    return 'unknown'
  }
}

function git(...args: string[]): string {
  const cwd = import.meta.dirname
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
