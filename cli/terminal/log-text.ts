import { fieldText, timeOf } from './event-text.ts'
import { printable } from './table.ts'
import type { Paint, Style } from './terminal.ts'

/** pino's levels in ascending order; their numbers are 10 to 60. */
export const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type Level = (typeof levels)[number]

const styles: Readonly<Record<Level, Style | null>> = {
  trace: 'dim',
  debug: 'dim',
  info: null,
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
}

export interface LogLine {
  readonly process: string
  readonly atMs: number
  readonly level: Level
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  /** As it was written. */
  readonly text: string
}

/** A line of a log. A line that is not JSON was written by a process that crashed; it is shown as an error at the time of the line before it. */
export function parseLine(text: string, process: string): LogLine {
  const { level, time, msg, name: _, pid: __, hostname: ___, ...fields } = parseJson(text)
  const known = typeof level === 'number' ? levels[Math.round(level / 10) - 1] : undefined
  if (known === undefined || typeof time !== 'number')
    return { process, atMs: Date.now(), level: 'error', message: text, fields: {}, text }
  return { process, atMs: time, level: known, message: typeof msg === 'string' ? msg : '', fields, text }
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

/** `12:00:01.250 WARN  controller  message name=value`. */
export function formatLine({ process, atMs, level, message, fields }: LogLine, paint: Paint): string {
  const ms = String(Math.floor(atMs) % 1000).padStart(3, '0')
  const shown = level.toUpperCase().padEnd(5)
  const pairs = Object.entries(fields).map(
    ([name, value]) => `${paint('dim', `${name}=`)}${format(name, value)}`,
  )
  const words = [printable(message), ...pairs].join(' ')
  return `${timeOf(atMs)}.${ms} ${paint(styles[level], shown)} ${paint('cyan', process.padEnd(15))} ${words}`
}

/** Of an error its message. */
function format(name: string, value: unknown): string {
  if (name === 'err' && typeof value === 'object' && value !== null && 'message' in value)
    return printable(JSON.stringify(value.message))
  return fieldText(value)
}
