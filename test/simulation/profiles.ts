import type { FaultKind } from './faults/plan.ts'
import type { SeededRandom } from './world/random.ts'

/** What clients do: each name stands for one line of the mix. */
export type ActionName =
  | 'put'
  | 'putAbsent'
  | 'putExpiring'
  | 'putVersion'
  | 'get'
  | 'consume'
  | 'wait'
  | 'append'
  | 'deleteMany'
  | 'stat'
  | 'delete'
  | 'list'

/**
 * What a run concentrates on. A mixture of everything meets each pair of rare events too rarely; a seed therefore chooses
 * a profile, which has few kinds of faults and the traffic that they hurt most.
 */
export interface Profile {
  readonly name: string
  /** Kinds of faults that are drawn, each as likely; null for the usual mixture. */
  readonly faults: readonly FaultKind[] | null
  readonly faultsMin: number
  /** Faults begin within this time. */
  readonly horizonMs: number
  /** Between two calls of a client's lane. */
  readonly thinkMsMax: number
  readonly keys: readonly string[]
  /** How many times as often as usual an action is drawn; 1 where it is not named. */
  readonly actions: Partial<Readonly<Record<ActionName, number>>>
  /** Shares of all puts. */
  readonly large: number
  readonly persist: number
  /** Of all calls, those to a bucket that is created and deleted all the time. */
  readonly transient: number
  /** Null where the seed draws it. */
  readonly nodes: number | null
  readonly slots: number | null
  readonly metadataServers: number | null
  /** How long an access to the kept store takes at most. */
  readonly keptMsMax: number
  /** What a node has of RAM, and of SSD. */
  readonly nodeRamBytes: number
  /** The real controller decides, and not a script. */
  readonly controller: boolean
  /** Whether clients have a second process with their memory. */
  readonly twins: boolean
}

/** Everything mixed. Faults begin while clients are busy: 50 calls of 80 ms thought and a little work each. */
const plain: Profile = {
  name: 'plain',
  faults: null,
  faultsMin: 0,
  horizonMs: 4_000,
  thinkMsMax: 240,
  keys: ['a', 'b', 'c/1', 'd'],
  actions: {},
  large: 0.3,
  persist: 0.25,
  transient: 0,
  nodes: null,
  slots: null,
  metadataServers: null,
  keptMsMax: 40,
  nodeRamBytes: 1 << 20,
  controller: false,
  twins: false,
}

const profiles: readonly Profile[] = [
  plain,
  // Times to live end while slots move to and fro.
  {
    ...plain,
    name: 'expiring',
    faults: ['rebalance', 'addNode', 'drainNode', 'crashNode'],
    faultsMin: 2,
    actions: { putExpiring: 6, append: 0.3, putVersion: 0.3 },
    persist: 0.1,
  },
  // Nodes die in the middle of moves, and what they had goes back to where it came from.
  {
    ...plain,
    name: 'handoffs',
    faults: ['rebalance', 'rebalance', 'crashTarget', 'crashTarget', 'crashNode', 'pauseNode'],
    faultsMin: 3,
    horizonMs: 1_500,
    thinkMsMax: 80,
    keys: ['a', 'b'],
    persist: 0.05,
    nodes: 2,
    slots: 4,
  },
  // Jobs go from server to server while words of the server before are under way.
  {
    ...plain,
    name: 'departures',
    faults: ['moveJob', 'lateWord', 'lateWord', 'stallConnections', 'crashDeparting', 'rebalance'],
    faultsMin: 2,
    metadataServers: 2,
  },
  // Calls about many keys, some of whose owners cannot be reached for as long as the call has time.
  {
    ...plain,
    name: 'many',
    faults: ['crashNode', 'partition', 'refuse', 'stallConnections', 'rebalance'],
    faultsMin: 2,
    keys: ['a', 'b', 'c/1', 'd', 'e', 'f', 'c/2', 'c/3'],
    actions: { deleteMany: 8, list: 2, consume: 0.5, delete: 0.3 },
    persist: 0.05,
  },
  // Nothing breaks, but connections carry nothing any more without a word, also while functions are frozen.
  {
    ...plain,
    name: 'silent',
    faults: ['forgetConnections', 'freezeClient', 'thawForgotten'],
    faultsMin: 2,
    horizonMs: 8_000,
    actions: { append: 3, consume: 2, delete: 2, wait: 4 },
    persist: 0.05,
  },
  // Nothing goes wrong but that functions are frozen, often with a call under way.
  {
    ...plain,
    name: 'frozen',
    faults: ['freezeClient'],
    faultsMin: 5,
    thinkMsMax: 20,
    horizonMs: 1_500,
    actions: { append: 4, delete: 4 },
    large: 0.1,
    persist: 0,
  },
  // Objects that outlive their nodes, in a store that is slower than the leases of large puts.
  {
    ...plain,
    name: 'kept',
    faults: ['crashNode', 'crashClient', 'loseAnswers', 'rebalance', 'pauseNode', 'drainNode'],
    faultsMin: 2,
    actions: { append: 0.3 },
    large: 0.5,
    persist: 0.8,
    keptMsMax: 1_200,
  },
  // Clients are restored from snapshots beside those of which they were taken, with calls under way.
  {
    ...plain,
    name: 'clones',
    faults: [
      'restoreTwice',
      'restoreTwice',
      'restoreTwice',
      'loseAnswers',
      'breakConnections',
      'rebalance',
      'crashNode',
      'stallConnections',
    ],
    faultsMin: 4,
    horizonMs: 2_500,
    thinkMsMax: 60,
    keys: ['a', 'b'],
    actions: { append: 3, consume: 2, delete: 2, wait: 2 },
    persist: 0.1,
    twins: true,
  },
  // The stores behind the nodes misbehave, S3 and the disk, while nodes die and slots move.
  {
    ...plain,
    name: 'stores',
    faults: [
      'storeRefuses',
      'storeIsSlow',
      'storeLosesAnswers',
      'storeLosesAnswers',
      'crashNode',
      'crashNode',
      'rebalance',
      'pauseNode',
      'drainNode',
      'crashClient',
    ],
    faultsMin: 3,
    actions: { append: 0.3 },
    large: 0.4,
    persist: 0.7,
  },
  // A bucket is deleted under load and made anew under its name, while slots move and nodes are late.
  {
    ...plain,
    name: 'buckets',
    faults: [
      'rebalance',
      'addNode',
      'drainNode',
      'crashNode',
      'pauseNode',
      'stallConnections',
      'crashMetadata',
    ],
    faultsMin: 1,
    transient: 0.7,
    keptMsMax: 200,
  },
  // The real controller: it starts nodes, spreads and moves jobs, and everything happens to it that happens to the others.
  {
    ...plain,
    name: 'controller',
    faults: [
      'crashController',
      'crashController',
      'pauseController',
      'diskFails',
      'operatorDrains',
      'operatorDrains',
      'resizeJob',
      'resizeJob',
      'crashNode',
      'crashNode',
      'pauseNode',
      'crashMetadata',
      'pauseMetadata',
      'moveJob',
      'crashDeparting',
      'partition',
      'breakConnections',
      'loseAnswers',
      'controllerSilent',
      'slow',
      'endJob',
    ],
    horizonMs: 8_000,
    thinkMsMax: 400,
    nodeRamBytes: 96_000,
    controller: true,
  },
]

/** How many of all seeds mix everything. */
const PLAIN_SHARE = 0.4

/** The profile of that name; with an empty name the one that the seed draws. */
export function profileOf(
  name: string,
  random: { chance(p: number): boolean; pick<T>(of: readonly T[]): T },
): Profile {
  if (name === '') return random.chance(PLAIN_SHARE) ? plain : random.pick(profiles.slice(1))
  const found = profiles.find((profile) => profile.name === name)
  if (found === undefined)
    throw new Error(`no profile is called ${name}; there are ${profiles.map((each) => each.name).join(', ')}`)
  return found
}

/** What a job has on each tier. In some runs room is scarce, in others so is RAM alone, so that objects come and go between the tiers. */
export function roomOf(
  random: SeededRandom,
  nodes: number,
): readonly [ramBytes: number, ssdBytes: number, s3Bytes: number] {
  return random.weighted<readonly [number, number, number]>([
    [[400_000, 0, 0], 35],
    [[6_000, 0, 0], 15],
    [[1_500 * nodes, 400_000, 0], 20],
    [[1_500 * nodes, 3_000, 0], 10],
    [[1_500 * nodes, 1_000 * nodes, 400_000], 15],
    [[1_500 * nodes, 0, 400_000], 5],
  ])
}
