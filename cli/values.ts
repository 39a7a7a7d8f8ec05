import { InvalidArgumentError } from 'commander'
import { parseHost } from './up/config/network-settings.ts'

/** Parses a whole number within the bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isSafeInteger(value) && value >= least && value <= most && text.trim() !== '') return value
    throw new InvalidArgumentError(`It is no whole number from ${least} to ${most}.`)
  }
}

/** Parses an IP address or a name, without a port. */
export function host(text: string): string {
  const parsed = parseHost(text)
  if (parsed !== null) return parsed
  throw new InvalidArgumentError('It is no IP address or name, or has a port.')
}

const secondsOf: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }

/** Parses a time: a whole number of seconds, or one with a unit: `90s`, `10m`, `2h`, `7d`. Returns seconds. */
export function seconds(least: number, most: number): (text: string) => number {
  return (text) => {
    const [, number = '', unit = ''] = /^(\d{1,12})([smhd]?)$/.exec(text) ?? []
    const value = Number(number) * (secondsOf[unit] ?? Number.NaN)
    if (number !== '' && value >= least && value <= most) return value
    throw new InvalidArgumentError(
      `It is no time from ${least} to ${most} seconds, like 90, 90s, 10m, 2h or 7d.`,
    )
  }
}

const bytesOf: Readonly<Record<string, number>> = {
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

export type HintValues = Readonly<Record<string, boolean | number | string>>

/** Adds `NAME=VALUE`. Values are true, false, a number, or a number of bytes with its unit. The controller validates names and ranges. */
export function collectHint(text: string, earlier: HintValues | undefined): HintValues {
  const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
  if (name === undefined || value === undefined)
    throw new InvalidArgumentError('It is not of the form NAME=VALUE, like capacityBytes=256MiB.')
  return { ...earlier, [name]: parseValue(value) }
}

function parseValue(text: string): boolean | number | string {
  if (text === 'true' || text === 'false') return text === 'true'
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([KMGT]i?B)$/.exec(text) ?? []
  if (amount !== '') return Math.round(Number(amount) * (bytesOf[unit] ?? Number.NaN))
  const number = Number(text)
  return Number.isFinite(number) && text.trim() !== '' ? number : text
}
