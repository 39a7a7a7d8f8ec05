import type { ClusterEvent } from '../api/events.ts'
import { formatBytes, printable } from './table.ts'
import type { Paint, Style } from './terminal.ts'

/** `12:00:01  node.lost  node=n-1 …`: one line for an event, with what went wrong in colour. */
export function eventLine({ type, at, data }: ClusterEvent, paint: Paint): string {
  const shown = type.padEnd(17)
  const fields = Object.entries(data).map(
    ([name, value]) => `${paint('dim', `${name}=`)}${format(name, value)}`,
  )
  return `${timeOf(at)}  ${paint(styleOf(type), shown)}  ${fields.join(' ')}`
}

/** The time of day here, to the second. */
export function timeOf(at: string | number): string {
  const date = new Date(at)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

function styleOf(type: string): Style | null {
  if (/\.(lost|failing|degraded)$/.test(type)) return 'red'
  if (/\.(silent|full|draining|starting|registering|scaled\w*|rebalanced)$/.test(type)) return 'yellow'
  return /\.(active|recovered|drained)$/.test(type) ? 'green' : null
}

function format(name: string, value: unknown): string {
  if (typeof value === 'number' && /bytes$/i.test(name)) return formatBytes(value)
  if (typeof value === 'number' && /bytesPerSecond$/i.test(name)) return `${formatBytes(value)}/s`
  if (typeof value === 'number' && name === 'load') return `${Math.round(value * 100)} %`
  return fieldText(value)
}

/** Text without spaces as it is, anything else as JSON. */
export function fieldText(value: unknown): string {
  return printable(typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value))
}
