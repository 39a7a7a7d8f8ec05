import { expect } from 'vitest'
import type { Outcome } from './siege.ts'

/** Factor by which `npm run attack` prolongs each attack. */
export const LENGTH = Number(process.env.ATTACK_LENGTH ?? 1)
export const FLOOD_MS = 2_000 * LENGTH
/**
 * The bystander may wait so many times as long as before the attack. The tests share their machine with other tests, so what is below a floor is never too
 * long (`npm run attack` prints what a bystander sees on a quiet one). Floods used to make each get of a bystander wait for 70 to 849 ms, which a median shows
 * on a busy machine too; other attacks stalled the node for seconds, or ended its process.
 */
const TIMES_ALONE_MAX = 10
const P50_FLOOR_MS = 40
const P99_FLOOR_MS = 400
/** Below the lease of a node. */
const LONGEST_MS_MAX = 5_000
const GROWN_MIB_MAX = 300

const rows: string[] = []

/** Prints what the bystander observed, for `npm run attack`. */
export function printRows(): void {
  if (LENGTH === 1) return
  console.log(
    [
      '| attack | gets | p50 alone ms | p50 ms | p99 alone ms | p99 ms | longest ms | grown MiB |',
      '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
      ...rows,
    ].join('\n'),
  )
}

/** Takes what the bystander observed into the table. */
export function note(name: string, { gets, alone, p50, p99, longest, grownMib }: Outcome): void {
  const latencies = [alone.p50, p50, alone.p99, p99, longest].map((ms) => ms.toFixed(2))
  rows.push(`| ${name} | ${gets} | ${latencies.join(' | ')} | ${grownMib.toFixed(0)} |`)
}

/** As `note`, and bounds it. */
export function judge(name: string, outcome: Outcome): void {
  const { alone, p50, p99, longest, grownMib } = outcome
  note(name, outcome)
  expect(p50).toBeLessThan(Math.max(P50_FLOOR_MS, TIMES_ALONE_MAX * alone.p50))
  expect(p99).toBeLessThan(Math.max(P99_FLOOR_MS, TIMES_ALONE_MAX * alone.p99))
  expect(longest).toBeLessThan(LONGEST_MS_MAX)
  expect(grownMib).toBeLessThan(GROWN_MIB_MAX)
}
