import type { SeededRandom } from '../world/random.ts'

/** Kinds of the usual mixture. */
const usualKinds = [
  'crashNode',
  'crashDrained',
  'pauseNode',
  'crashMetadata',
  'moveJob',
  'crashDeparting',
  'pauseMetadata',
  'crashClient',
  'pauseClient',
  'partition',
  'breakConnections',
  'slow',
  'refuse',
  'controllerSilent',
  'loseAnswers',
  'addNode',
  'drainNode',
  'rebalance',
  'endJob',
] as const
/** Kinds that only some profiles draw. */
const specialKinds = [
  'crashTarget',
  'stallConnections',
  'lateWord',
  'forgetConnections',
  'freezeClient',
  'thawForgotten',
  'storeRefuses',
  'storeIsSlow',
  'storeLosesAnswers',
  'restoreTwice',
  'setClock',
  'suspendClient',
] as const
/** Faults of the real controller. */
const controllerKinds = [
  'crashController',
  'pauseController',
  'diskFails',
  'operatorDrains',
  'resizeJob',
] as const
export type ControllerFaultKind = (typeof controllerKinds)[number]
export type FaultKind = (typeof usualKinds)[number] | (typeof specialKinds)[number] | ControllerFaultKind

/** Daily operations and faults of the controller alone: no caller should notice them. */
export const gentleKinds: readonly FaultKind[] = [
  'addNode',
  'drainNode',
  'rebalance',
  'moveJob',
  'endJob',
  'controllerSilent',
  ...controllerKinds,
]

/** Under these faults every message arrives soon, or never. */
export const promptKinds: readonly FaultKind[] = [
  'addNode',
  'drainNode',
  'rebalance',
  'moveJob',
  'endJob',
  'crashClient',
  'crashNode',
  'crashDrained',
  'crashTarget',
  'crashMetadata',
  'crashDeparting',
]

/** A frozen client notices only that time has passed. */
export const frozenKinds: readonly FaultKind[] = ['freezeClient', 'suspendClient']

/** Connections stop carrying bytes; a caller notices a delay of at most `RECOVERY_MS`. */
export const forgottenKinds: readonly FaultKind[] = ['forgetConnections', 'thawForgotten']

/** Faults of the stores behind the nodes. */
export const storeKinds: readonly FaultKind[] = ['storeRefuses', 'storeIsSlow', 'storeLosesAnswers']

/** After these faults the metadata servers or the controller may not hear a running node for longer than its lease. */
export const silencingKinds: readonly FaultKind[] = [
  'pauseNode',
  'partition',
  'breakConnections',
  'slow',
  'refuse',
  'loseAnswers',
  'controllerSilent',
  'stallConnections',
  'forgetConnections',
  'thawForgotten',
  'lateWord',
  // A node that was connecting to a server on a dead machine retries after `CONNECT_MS_MAX`, which is longer than a lease here.
  'crashMetadata',
  'crashDeparting',
]

/** Drawn more often, because moves of slots and deaths of processes are the core of the protocol. */
const likely: readonly FaultKind[] = [
  ...usualKinds,
  'crashNode',
  'crashNode',
  'addNode',
  'drainNode',
  'rebalance',
  'rebalance',
  'rebalance',
  'loseAnswers',
  'moveJob',
  'crashDeparting',
]

/** One fault or change in a run. */
export interface Fault {
  /** Its index in the plan, by which it can be left out or kept. */
  readonly number: number
  readonly kind: FaultKind
  readonly atMs: number
  readonly lastsMs: number
  /** Seed of everything else that the fault draws. */
  readonly seed: string
}

const FAULTS_MAX = 7

/** Shorter than any deadline, longer than most, and about as long as a node's lease. */
const lengthsMs = [
  (random: SeededRandom) => random.between(5, 400),
  (random: SeededRandom) => random.between(400, 2_500),
  (random: SeededRandom) => random.between(2_500, 5_000),
]

/** The faults of a run in order of time. Many runs have few kinds, so that each kind also occurs alone. */
export function planFaults(
  random: SeededRandom,
  of: {
    readonly faults: readonly FaultKind[] | null
    readonly faultsMin: number
    readonly horizonMs: number
  },
): Fault[] {
  const { faultsMin, horizonMs } = of
  const kinds = of.faults ?? (random.chance(0.5) ? likely : [random.pick(likely), random.pick(likely)])
  const count = faultsMin + random.below(FAULTS_MAX + 1 - faultsMin)
  const faults = Array.from({ length: count }, (_, index) => ({
    kind: random.pick(kinds),
    atMs: random.between(0, horizonMs),
    lastsMs: random.pick(lengthsMs)(random),
    seed: `fault/${index}`,
  }))
  return faults.sort((a, b) => a.atMs - b.atMs).map((fault, number) => ({ number, ...fault }))
}

/** Whether it is a fault of the controller. */
export function isOfController(fault: Fault): fault is Fault & { kind: ControllerFaultKind } {
  return controllerKinds.includes(fault.kind as ControllerFaultKind)
}

/** When the first fault of one of these kinds begins; `Infinity` if there is none. */
export function firstOf(faults: readonly Fault[], kinds: readonly FaultKind[]): number {
  const those = faults.filter(({ kind }) => kinds.includes(kind))
  return Math.min(Number.POSITIVE_INFINITY, ...those.map(({ atMs }) => atMs))
}

export function describeFault({ number, kind, atMs, lastsMs }: Fault): string {
  return `fault ${number}: ${kind} at ${atMs.toFixed(0)} ms for ${lastsMs.toFixed(0)} ms`
}
