import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Report } from '../suite.ts'

/** The report as text: machine, versions, table and goals. */
export function formatReport(report: Report): string {
  const goals = report.goals.map(({ name, atLeast, reachFor, measured, verdict }) => [
    name,
    atLeast,
    reachFor,
    measured,
    verdict,
  ])
  return [
    [...settingsOf(report).map(([name, value]) => `${name}: ${value}`), ...report.notes].join('\n'),
    formatTable([report.columns, ...report.rows]),
    ...(goals.length === 0 ? [] : [formatTable([goalColumns, ...goals])]),
    verdictOf(report),
    '',
  ].join('\n\n')
}

export const goalColumns = ['goal', 'at least', 'reach for', 'measured', '']

export function verdictOf({ failures }: Report): string {
  return failures.length === 0 ? 'no call failed, no answer was wrong' : failures.join('\n')
}

export function settingsOf(report: Report): [string, string | number][] {
  return Object.entries({ ...machineOf(), ...report.settings })
}

/** A table in Markdown, so that it can be pasted into the README. */
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

export function machineOf(): Record<string, string> {
  const cores = cpus()
  return {
    machine: `${cores[0]?.model.trim() ?? 'unknown'}, ${cores.length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `Node ${process.version} on ${process.platform}`,
    commit: commitOf(),
  }
}

/** `unknown` if the sources have no Git history. */
function commitOf(): string {
  try {
    const commit = git('rev-parse', '--short', 'HEAD')
    return git('status', '--porcelain') === '' ? commit : `${commit} with changes`
  } catch {
    return 'unknown'
  }
}

function git(...args: string[]): string {
  // This file is dist/bench/report/report.js.
  const cwd = fileURLToPath(new URL('../../../', import.meta.url))
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
