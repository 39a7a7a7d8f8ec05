import type { Amounts } from '../../controller/api/console/snapshot.ts'
import { formatBytes, formatPercent } from './format.ts'

/** Above this part of its capacity a tier is full, and above the other one it is busy. */
const FULL = 0.9
const BUSY = 0.8

export function fullness({ used, capacity }: Amounts): 'full' | 'busy' | 'calm' {
  if (capacity === 0) return 'calm'
  const part = used / capacity
  if (part >= FULL) return 'full'
  return part >= BUSY ? 'busy' : 'calm'
}

function percent(part: number, whole: number): string {
  return `${whole === 0 ? 0 : Math.min(100, (100 * part) / whole)}%`
}

/** Used and reserved of a capacity; what is left is free. */
export function Bar({ name, amounts, unit = '' }: { name: string; amounts: Amounts; unit?: string }) {
  const { used, reserved, capacity } = amounts
  const free = Math.max(0, capacity - reserved)
  const [usedText, reservedText, freeText, capacityText] = [used, reserved, free, capacity].map(
    (bytes) => `${formatBytes(bytes)}${unit}`,
  )
  const text =
    capacity === 0
      ? `${usedText} used, no bound`
      : `${usedText} used, ${reservedText} reserved, ${freeText} free of ${capacityText}`
  return (
    <div class="bar-row">
      <span class="bar-name">{name}</span>
      <div class={`bar ${fullness(amounts)}`} role="img" aria-label={`${name}: ${text}`} title={text}>
        <div class="bar-reserved" style={{ width: percent(reserved, capacity) }} />
        <div class="bar-used" style={{ width: percent(used, capacity) }} />
      </div>
      <span class="bar-text">
        <b>{capacity === 0 ? usedText : formatPercent(used, capacity)}</b>
        <span class="muted"> {capacity === 0 ? '' : `of ${capacityText}`}</span>
      </span>
    </div>
  )
}
