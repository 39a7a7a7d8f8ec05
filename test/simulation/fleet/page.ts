import { type Comparison, systems } from './compare.ts'

const WIDTH = 900
const HEIGHT = 260
const LEFT = 50
const BOTTOM = 30
const POINTS_MAX = 600
const colours = {
  [systems.mayfly]: '#d55e00',
  [systems.pocket]: '#0072b2',
  'in use': '#777777',
}

/** Allocation over time as one self-contained HTML file. */
export function drawPage(comparisons: readonly Comparison[], lines: readonly string[]): string {
  const legend = Object.entries(colours).map(
    ([name, colour]) => `<span style="color:${colour}">■ ${name}</span>`,
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Mayfly: fleet simulation</title>
<style>body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em }
pre { overflow-x: auto; font-size: 12px } span { margin-right: 1.5em } svg { font: 11px system-ui, sans-serif }</style>
<h1>Fleet simulation: nodes over time</h1><p>${legend.join('')}</p>
${comparisons.map(drawChart).join('\n')}
<pre>${lines.map(escapeText).join('\n')}</pre></html>
`
}

function drawChart({ mix, mayfly, pocket }: Comparison): string {
  const series = [
    { values: mayfly.usedBytesPerSecond.map((used) => used / 1e9), colour: colours['in use'] },
    { values: pocket.nodes, colour: colours[systems.pocket] },
    { values: mayfly.nodes, colour: colours[systems.mayfly] },
  ].map(({ values, colour }) => ({ values: thin(values), colour }))
  const most = Math.max(1, ...series.flatMap(({ values }) => values))
  const longest = Math.max(...series.map(({ values }) => values.length))
  const x = (index: number): string =>
    (LEFT + (index / Math.max(1, longest - 1)) * (WIDTH - LEFT - 10)).toFixed(1)
  const y = (value: number): string => (HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - 20)).toFixed(1)
  const curves = series.map(({ values, colour }) => {
    const path = values.map((value, index) => `${x(index)},${y(value)}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`
  })
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = y(most * part)
    return `<line x1="${LEFT}" x2="${WIDTH - 10}" y1="${at}" y2="${at}" stroke="#8884"/><text x="${LEFT - 6}" y="${at}" text-anchor="end">${Math.round(most * part)}</text>`
  })
  const title = `${escapeText(mix)}: nodes, and nodes' worth of bytes per second in use, over ${mayfly.nodes.length} s`
  return `<h2>${title}</h2><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">${marks.join('')}${curves.join('')}</svg>`
}

function thin(values: readonly number[]): number[] {
  const step = Math.max(1, Math.ceil(values.length / POINTS_MAX))
  return values.filter((_, index) => index % step === 0)
}

function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
