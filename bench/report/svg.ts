import type { BarChart, Chart, LineChart, Point, SeriesName } from './chart.ts'

/** One colour for each name in every chart, distinguishable with colour blindness (after Okabe and Ito). */
export const colours: Readonly<Record<SeriesName, string>> = {
  mayfly: '#d55e00',
  ioredis: '#0072b2',
  'ioredis pipelining': '#56b4e9',
  'node-redis': '#009e73',
  iovalkey: '#e69f00',
  'valkey-glide': '#b3a100',
  s3: '#cc79a7',
  disk: '#999933',
  limit: '#777777',
  allocated: '#777777',
  reserved: '#0072b2',
  used: '#d55e00',
}

const WIDTH = 460
const HEIGHT = 280
const LEFT = 64
/** Half of the width of the longest mark, which may stand at the end of the axis. */
const RIGHT = 26
const TOP = 30
const BOTTOM = 44
const BAR = 26
const BAR_NAME = 130

export function drawChart(chart: Chart): string {
  return chart.kind === 'lines' ? drawLines(chart) : drawBars(chart)
}

function drawLines({ title, x, y, series }: LineChart): string {
  const across = scale(
    x.marks.map(({ at }) => at),
    { from: LEFT, to: WIDTH - RIGHT },
  )
  const up = scale(
    y.marks.map(({ at }) => at),
    { from: HEIGHT - BOTTOM, to: TOP },
  )
  const grid = [
    ...x.marks.map(({ at, text }) => {
      const left = across(at)
      return line([left, TOP], [left, HEIGHT - BOTTOM]) + label([left, HEIGHT - BOTTOM + 15], text, 'middle')
    }),
    ...y.marks.map(({ at, text }) => {
      const top = up(at)
      return line([LEFT, top], [WIDTH - RIGHT, top]) + label([LEFT - 6, top + 4], text, 'end')
    }),
  ]
  const curves = series.map(({ name, points }) => {
    const path = points.map(([px, py]) => `${across(px).toFixed(1)},${up(py).toFixed(1)}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${colours[name]}" stroke-width="2"><title>${escapeText(name)}</title></polyline>`
  })
  const names = label([WIDTH / 2, HEIGHT - 8], x.label, 'middle') + label([4, TOP - 8], y.label, 'start')
  return frame(HEIGHT, title, [...grid, ...curves, names])
}

function drawBars({ title, bars }: BarChart): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE)
  const room = WIDTH - BAR_NAME - 80
  const drawn = bars.map(({ name, value }, index) => {
    const top = TOP + index * BAR
    const width = Math.max(1, (value / most) * room).toFixed(1)
    return (
      label([BAR_NAME - 8, top + 16], name, 'end') +
      `<rect x="${BAR_NAME}" y="${top + 4}" width="${width}" height="${BAR - 8}" fill="${colours[name]}"/>` +
      label([BAR_NAME + Number(width) + 6, top + 16], String(Number(value.toPrecision(3))), 'start')
    )
  })
  return frame(TOP + bars.length * BAR + 8, title, drawn)
}

function frame(height: number, title: string, content: readonly string[]): string {
  const heading = `<text x="${WIDTH / 2}" y="14" text-anchor="middle" font-weight="bold">${escapeText(title)}</text>`
  return `<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeText(title)}">${heading}${content.join('')}</svg>`
}

/** Maps values to pixels. */
function scale(
  values: readonly number[],
  { from, to }: { from: number; to: number },
): (value: number) => number {
  const low = Math.min(...values)
  const span = Math.max(...values) - low || 1
  return (value) => from + ((value - low) / span) * (to - from)
}

function line([x1, y1]: Point, [x2, y2]: Point): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#8884"/>`
}

function label([x, y]: Point, text: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escapeText(text)}</text>`
}

export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
