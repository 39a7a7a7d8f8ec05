import { escapeText } from './svg.ts'

/** The fields of a file of `results.ts` that this chart reads. */
export interface Results {
  readonly suite: string
  readonly machine: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, string | number>>
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

interface Bar {
  readonly row: string
  readonly ratio: number
}

const WIDTH = 760
const LEFT = 330
const RIGHT = 70
const TOP = 58
const BAR = 24
const FOOT = 54

/** Readers choose light or dark: an SVG in an `img` follows the colour scheme of its page. */
const style = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .note { fill: #59636e; font-size: 12px }
  .above { fill: #0969da }
  .below { fill: #bc4c00 }
  .one { stroke: #59636e; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .above { fill: #4493f8 }
    .below { fill: #db6d28 }
    .one { stroke: #9198a1 }
  }`

/**
 * Bars of how many times as good Mayfly is as the best Redis client, one for each row of the results, with a line at 1. Rows
 * in which Redis is better have another colour.
 */
export function drawRatios(results: readonly Results[]): string {
  const bars = results.flatMap(barsOf).sort((a, b) => b.ratio - a.ratio)
  const most = Math.max(1, ...bars.map(({ ratio }) => ratio))
  const across = (ratio: number): number => LEFT + (ratio / most) * (WIDTH - LEFT - RIGHT)
  const bottom = TOP + bars.length * BAR
  const title = 'Mayfly to the best Redis client, on one machine (more is better)'
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + FOOT}" role="img" aria-label="${escapeText(labelOf(title, bars))}">`,
    `<style>${style}\n</style>`,
    `<text class="title" x="${WIDTH / 2}" y="20" text-anchor="middle">${escapeText(title)}</text>`,
    `<text class="note" x="${across(1).toFixed(1)}" y="44" text-anchor="middle">Redis = 1×</text>`,
    `<line class="one" x1="${across(1).toFixed(1)}" y1="${TOP - 8}" x2="${across(1).toFixed(1)}" y2="${bottom}"/>`,
    ...bars.map((bar, index) => drawBar(bar, { top: TOP + index * BAR, across })),
    ...notesOf(results).map(
      (note, index) =>
        `<text class="note" x="${WIDTH / 2}" y="${bottom + 22 + 18 * index}" text-anchor="middle">${escapeText(note)}</text>`,
    ),
    '</svg>\n',
  ].join('\n')
}

function drawBar({ row, ratio }: Bar, { top, across }: { top: number; across: (ratio: number) => number }) {
  const end = across(ratio)
  return [
    `<text x="${LEFT - 10}" y="${top + 16}" text-anchor="end">${escapeText(row)}</text>`,
    `<rect class="${ratio >= 1 ? 'above' : 'below'}" x="${LEFT}" y="${top + 4}" width="${(end - LEFT).toFixed(1)}" height="${BAR - 8}" rx="2"/>`,
    // Right of the line at 1, so that the line does not cross the number.
    `<text x="${(Math.max(end, across(1)) + 8).toFixed(1)}" y="${top + 16}">${ratio.toFixed(2)}×</text>`,
  ].join('')
}

/** Throws if the results have no column of ratios. */
function barsOf({ suite, columns, rows }: Results): Bar[] {
  const column = columns.indexOf('Mayfly to it')
  if (column === -1) throw new Error(`suite ${suite} has no column 'Mayfly to it'`)
  return rows.flatMap((row) => {
    const [name = '', system = ''] = row
    if (!system.startsWith('Redis')) return []
    return [{ row: name, ratio: Number((row[column] ?? '').replace('×', '')) }]
  })
}

/** The footer: machine, versions and commits of the measurements. */
function notesOf(results: readonly Results[]): string[] {
  const [first] = results
  if (first === undefined) throw new Error('there are no results to draw')
  const commits = new Map<string, string[]>()
  for (const { suite, machine } of results) {
    const commit = machine.commit ?? 'unknown'
    commits.set(commit, [...(commits.get(commit) ?? []), suite])
  }
  const { machine, settings } = first
  return [
    `${machine.machine}; ${machine.system}; Redis ${settings.Redis}`,
    `Commit ${[...commits].map(([commit, suites]) => `${commit} (${suites.join(', ')})`).join(', ')}; medians, over loopback`,
  ]
}

function labelOf(title: string, bars: readonly Bar[]): string {
  return `${title}: ${bars.map(({ row, ratio }) => `${row} ${ratio.toFixed(2)}×`).join('; ')}`
}
