import { type Paint, plain, type Style } from './terminal.ts'

/** A column: its heading and alignment. Numbers are right-aligned. */
export interface Column {
  readonly heading: string
  readonly align: 'left' | 'right'
  /** The colour of a cell; none if not given. */
  readonly style?: (cell: string) => Style | null
}

/** Formats rows under headings, with two spaces between columns. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  paint: Paint = plain,
): string {
  const lines = [columns.map(({ heading }) => heading), ...rows]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  return lines
    .map((line, row) => {
      const cells = columns.map(({ align }, i) => {
        const cell = line[i] ?? ''
        return align === 'left' ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
      })
      // No line ends in spaces.
      const used = cells.findLastIndex((cell) => cell.trim() !== '') + 1
      cells.splice(Math.max(0, used - 1), cells.length, cells[used - 1]?.trimEnd() ?? '')
      return cells
        .map((cell, i) => paint(row === 0 ? 'bold' : columns[i]?.style?.(line[i] ?? ''), cell))
        .join('  ')
    })
    .join('\n')
}

const stateStyles: Readonly<Record<string, Style>> = {
  active: 'green',
  starting: 'yellow',
  registering: 'yellow',
  draining: 'yellow',
  ending: 'yellow',
  lost: 'red',
}

/** The column of the state of a node or a job. */
export const stateColumn: Column = {
  heading: 'STATE',
  align: 'left',
  style: (state) => stateStyles[state] ?? null,
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `1.5 MiB`: three significant digits. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${units[unit]}`
}

/** `1 file`, `2 files`. */
export function count(of: number, what: string): string {
  return `${of} ${what}${of === 1 ? '' : 's'}`
}

/** Foreign text, such as a key, with control characters escaped, so that it cannot control the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
