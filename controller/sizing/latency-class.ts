import { MayflyError } from '../../protocol/errors.ts'
import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import type { MixOptions } from './tier-mix.ts'
import type { TierTraits } from './tier-traits.ts'

/** The hints about latency. */
export interface LatencyHints {
  /** True: RAM first, then the next fastest tier, as in Pocket. False: the cheapest tiers. */
  readonly latencySensitive?: boolean
  /** Only tiers on which the 99th percentile of a small get is at most this, in milliseconds. */
  readonly latencyMs?: number
}

/** The tiers that a job may use, the objective among them, and the reason. */
interface LatencyClass extends Pick<MixOptions, 'allowed' | 'least'> {
  readonly ground: 'hint' | 'default'
  readonly because: string
}

/** Without hints: RAM first. With `latencyMs` alone: the cheapest tiers that meet it. Throws `RESERVATION_REFUSED` if none does. */
export function latencyClassOf(
  { latencySensitive, latencyMs }: LatencyHints,
  { served, traits }: { readonly served: ReadonlySet<Tier>; readonly traits: TierTraits },
): LatencyClass {
  const named = (among: readonly Tier[]): string =>
    among.map((tier) => `${tier} (p99 ${traits[tier].p99Ms} ms)`).join(', ')
  const there = tiers.filter((tier) => served.has(tier))
  const allowed = there.filter((tier) => latencyMs === undefined || traits[tier].p99Ms <= latencyMs)
  if (allowed.length === 0) {
    throw new MayflyError(
      'RESERVATION_REFUSED',
      `No tier answers within the hint latencyMs ${latencyMs}: storage nodes serve ${named(there)}`,
    )
  }
  const isSensitive = latencySensitive ?? latencyMs === undefined
  const said = [
    ...(latencySensitive === undefined ? [] : [`latencySensitive ${latencySensitive}`]),
    ...(latencyMs === undefined ? [] : [`latencyMs ${latencyMs}`]),
  ]
  const hinted = said.length === 0 ? 'no hint' : `hint ${said.join(' and ')}`
  return {
    allowed: new Set(allowed),
    least: isSensitive ? 'latency' : 'price',
    ground: said.length === 0 ? 'default' : 'hint',
    because: `${hinted}: ${isSensitive ? 'RAM first' : 'the cheapest'}, of ${named(allowed)}`,
  }
}
