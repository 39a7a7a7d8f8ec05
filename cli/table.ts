/** One column: its heading and which side its cells stand on. Numbers stand right. */
export interface Column {
  readonly heading: string
  readonly align: 'left' | 'right'
}

/** Rows under headings, two spaces between the columns. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ heading }) => heading), ...rows]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  return lines
    .map((line) =>
      columns
        .map(({ align }, i) => {
          const cell = line[i] ?? ''
          return align === 'left' ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `1.5 MiB`: three significant digits are what a reader compares. */
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

/** Text that others chose, such as a key, with control characters made visible: it cannot steer the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
