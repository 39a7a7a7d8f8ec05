import type { Report } from '../suite.ts'
import { namesOf } from './chart.ts'
import { goalColumns, settingsOf, verdictOf } from './report.ts'
import { colours, drawChart, escapeText } from './svg.ts'

const style = `
  :root { color-scheme: light dark }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 1450px; margin: 2em auto; padding: 0 1em }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1.5em 0; font-size: 13px }
  th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #8884 }
  th:first-child, td:first-child, td:nth-child(2), th:nth-child(2) { text-align: left }
  .short { color: #d00; font-weight: bold }
  .charts { display: flex; flex-wrap: wrap; gap: 1.2em }
  .legend { position: sticky; top: 0; background: Canvas; padding: .5em 0; display: flex; gap: 1.5em }
  .legend i { display: inline-block; width: 1em; height: 1em; vertical-align: -.15em; margin-right: .4em }
  svg { font: 11px system-ui, sans-serif; fill: currentColor }
`

/** A self-contained HTML page: tables, goals and all charts. */
export function formatPage(name: string, report: Report): string {
  const legend = [...namesOf(report.charts)].map(
    (name) => `<span><i style="background:${colours[name]}"></i>${escapeText(name)}</span>`,
  )
  const goals = report.goals.map((goal) => [
    goal.name,
    goal.atLeast,
    goal.reachFor,
    goal.measured,
    goal.verdict,
  ])
  const lines = [...settingsOf(report).map(([key, value]) => `${key}: ${value}`), ...report.notes]
  return [
    '<!doctype html>',
    `<html lang="en"><meta charset="utf-8"><title>Mayfly bench: ${escapeText(name)}</title><style>${style}</style>`,
    `<h1>Mayfly bench: ${escapeText(name)}</h1>`,
    `<p>${lines.map(escapeText).join('<br>')}</p>`,
    `<p>${escapeText(verdictOf(report)).replaceAll('\n', '<br>')}</p>`,
    goals.length === 0 ? '' : table([goalColumns, ...goals]),
    report.charts.length === 0 ? '' : `<div class="legend">${legend.join('')}</div>`,
    `<div class="charts">${report.charts.map(drawChart).join('')}</div>`,
    table([report.columns, ...report.rows]),
    '</html>\n',
  ].join('\n')
}

function table([head = [], ...rows]: readonly (readonly (string | number)[])[]): string {
  const cells = (row: readonly (string | number)[], tag: string): string =>
    row
      .map(
        (cell) =>
          `<${tag}${cell === 'FALLS SHORT' ? ' class="short"' : ''}>${escapeText(String(cell))}</${tag}>`,
      )
      .join('')
  const body = rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('\n')
  return `<table><tr>${cells(head, 'th')}</tr>\n${body}</table>`
}
