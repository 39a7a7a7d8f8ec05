const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1.5 GiB` */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${formatNumber(value)} ${units[unit]}`
}

/** At most three significant digits: `1.25`, `12.5`, `125`. */
export function formatNumber(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  const digits = size < 10 ? 2 : size < 100 ? 1 : 0
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}

/** `12.3k` */
export function formatCount(value: number): string {
  if (value >= 1e6) return `${formatNumber(value / 1e6)}M`
  if (value >= 1e4) return `${formatNumber(value / 1e3)}k`
  return formatNumber(value)
}

export function formatMs(ms: number | null): string {
  return ms === null ? '–' : `${formatNumber(ms)} ms`
}

export function formatPrice(price: number): string {
  return `$${price.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: price < 0.1 ? 4 : 2 })}`
}

export function formatPercent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${Math.round((100 * part) / whole)} %`
}

export function formatTime(atMs: number): string {
  return new Date(atMs).toLocaleTimeString('en-GB')
}

/** `12 s ago` */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  return `${Math.floor(seconds / 3600)} h ago`
}
