import { styleText } from 'node:util'

/** The output of a command. Colours, bars and full-screen views are used only on terminals; files and pipes get plain lines. */
export interface Terminal {
  /** Writes a line to standard output. */
  readonly print: (text: string) => void
  /** Writes a line to standard error. */
  readonly printError: (text: string) => void
  /** Replaces the line of progress on standard error; '' removes it. Undefined if that is no terminal. */
  readonly redraw?: ((line: string) => void) | undefined
  /** Standard output as a whole screen; undefined if it is no terminal. */
  readonly screen?: Screen | undefined
  /** Whether standard output takes colours: a terminal that has them, and no NO_COLOR. */
  readonly colors?: boolean
}

export interface Screen {
  readonly columns: number
  readonly rows: number
  /** Replaces everything that is shown. */
  draw(lines: readonly string[]): void
  /** Restores what was there before. */
  close(): void
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** Text in a style, or as it is without one. */
export type Paint = (style: Style | null | undefined, text: string) => string

export const plain: Paint = (_, text) => text

/** Colours text if the terminal takes them. */
export function painter({ colors }: Pick<Terminal, 'colors'>): Paint {
  if (colors !== true) return plain
  return (style, text) => (style === null || style === undefined ? text : styleText(style, text))
}

// Control sequences of ECMA-48 and xterm.
const CLEAR_LINE = '\r\u001b[K'
const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l'
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_BELOW = '\u001b[J'
const CLEAR_RIGHT = '\u001b[K'

/** The terminal of this process. */
export function processTerminal({ stdout, stderr }: Pick<NodeJS.Process, 'stdout' | 'stderr'>): Terminal {
  return {
    print: (text) => void stdout.write(`${text}\n`),
    printError: (text) => void stderr.write(`${text}\n`),
    ...(stderr.isTTY && {
      redraw: (line: string) => void stderr.write(`${CLEAR_LINE}${clip(line, stderr.columns)}`),
    }),
    ...(stdout.isTTY && { screen: screenOf(stdout) }),
    colors: stdout.isTTY && stdout.hasColors(),
  }
}

/** Enters the alternate screen with the first drawing. */
function screenOf(stdout: NodeJS.Process['stdout']): Screen {
  let entered = false
  return {
    get columns() {
      return stdout.columns
    },
    get rows() {
      return stdout.rows
    },
    draw(lines) {
      const shown = lines.map((line) => `${line}${CLEAR_RIGHT}`).join('\r\n')
      stdout.write(`${entered ? '' : ENTER_SCREEN}${HOME}${shown}${CLEAR_BELOW}`)
      entered = true
    },
    close() {
      if (entered) stdout.write(LEAVE_SCREEN)
      entered = false
    },
  }
}

/** A line that is longer than the terminal would be drawn on several. */
function clip(line: string, columns: number): string {
  return line.length < columns ? line : line.slice(0, Math.max(0, columns - 1))
}
