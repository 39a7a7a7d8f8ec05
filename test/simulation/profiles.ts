import type { FaultKind } from './faults/plan.ts'
import type { SeededRandom } from './world/random.ts'

/** What clients do; each name stands for one line of the mix. */
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
  | BulkName

/** Calls of many messages, which only some profiles make. */
export type BulkName = 'putMany' | 'getMany' | 'statMany' | 'stream' | 'putStream'

/**
 * The focus of a run. A mixture of everything reaches each pair of rare events too rarely; a seed therefore draws a profile, which has few kinds of faults and
 * the traffic that is most sensitive to them.
 */
export interface Profile {
  readonly name: string
  /** Kinds of faults that are drawn with equal probability; null for the usual mixture. */
  readonly faults: readonly FaultKind[] | null
  readonly faultsMin: number
  /** Faults begin within this time. */
  readonly horizonMs: number
  /** Maximum pause between two calls of a client's lane. */
  readonly thinkMsMax: number
  /** Calls that one client has under way. */
  readonly lanes: number
  /** Maximum time that a get waits for its key. */
  readonly waitSecondsMax: number
  readonly keys: readonly string[]
  /** Weight of an action relative to the usual mixture; the default is 1, and 0 for those of `BulkName`. */
  readonly actions: Partial<Readonly<Record<ActionName, number>>>
  /** Fraction of all puts. */
  readonly large: number
  readonly persist: number
  /** Fraction of all calls that go to a bucket that is repeatedly created and deleted. */
  readonly transient: number
  /** Whether buckets are created until a job has as many as it may have. */
  readonly fillsBuckets: boolean
  /** Null if the seed draws it. */
  readonly nodes: number | null
  readonly slots: number | null
  readonly metadataServers: number | null
  /** Maximum duration of an access to the persistent store. */
  readonly storeMsMax: number
  /** RAM and SSD of a node. */
  readonly nodeRamBytes: number
  /** Whether the real controller decides instead of a script. */
  readonly controller: boolean
  /** Whether clients have a second process with the same memory. */
  readonly twins: boolean
  /** Whether monotonic clocks drift apart. */
  readonly drifts: boolean
}

/** A mixture of everything. Faults begin while clients are busy: each makes 50 calls, with pauses of up to 80 ms and little work. */
const plain: Profile = {
  name: 'plain',
  faults: null,
  faultsMin: 0,
  horizonMs: 4_000,
  thinkMsMax: 240,
  lanes: 2,
  waitSecondsMax: 1,
  keys: ['a', 'b', 'c/1', 'd'],
  actions: {},
  large: 0.3,
  persist: 0.25,
  transient: 0,
  fillsBuckets: false,
  nodes: null,
  slots: null,
  metadataServers: null,
  storeMsMax: 40,
  nodeRamBytes: 1 << 20,
  controller: false,
  twins: false,
  drifts: false,
}

/** As long as a key may be whose value has its name in its first bytes. */
const LONG_KEYS = Array.from({ length: 48 }, (_, index) => `c/${'long-name-'.repeat(3)}${100 + index}`)

const profiles: readonly Profile[] = [
  plain,
  // Times to live end while slots move back and forth.
  {
    ...plain,
    name: 'expiring',
    faults: ['rebalance', 'addNode', 'drainNode', 'crashNode'],
    faultsMin: 2,
    actions: { putExpiring: 6, append: 0.3, putVersion: 0.3 },
    persist: 0.1,
  },
  // Nodes die in the middle of moves, and their slots return to the node that they came from.
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
  // Jobs are transferred between servers while messages of the previous server are under way.
  {
    ...plain,
    name: 'departures',
    faults: ['moveJob', 'lateWord', 'lateWord', 'stallConnections', 'crashDeparting', 'rebalance'],
    faultsMin: 2,
    metadataServers: 2,
  },
  // Calls about many keys, the owners of some of which are unreachable for the whole deadline.
  {
    ...plain,
    name: 'many',
    faults: ['crashNode', 'partition', 'refuse', 'stallConnections', 'rebalance'],
    faultsMin: 2,
    keys: ['a', 'b', 'c/1', 'd', 'e', 'f', 'c/2', 'c/3'],
    actions: { deleteMany: 8, list: 2, consume: 0.5, delete: 0.3 },
    persist: 0.05,
  },
  // Connections stop carrying bytes without being closed, also while functions are frozen.
  {
    ...plain,
    name: 'silent',
    faults: ['forgetConnections', 'freezeClient', 'thawForgotten'],
    faultsMin: 2,
    horizonMs: 8_000,
    actions: { append: 3, consume: 2, delete: 2, wait: 4 },
    persist: 0.05,
  },
  // Functions are frozen, often with a call under way, and nothing else fails.
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
  // Objects that survive their nodes, in a store that is slower than the leases of large puts.
  {
    ...plain,
    name: 'persisted',
    faults: ['crashNode', 'crashClient', 'loseAnswers', 'rebalance', 'pauseNode', 'drainNode'],
    faultsMin: 2,
    actions: { append: 0.3 },
    large: 0.5,
    persist: 0.8,
    storeMsMax: 1_200,
  },
  // Clients are restored from snapshots beside the original clients, with calls under way.
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
  // The stores behind the nodes, S3 and the disk, misbehave while nodes die and slots move.
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
  // A bucket is deleted under load and created again under its name, while slots move and nodes are late.
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
    storeMsMax: 200,
  },
  // Monotonic clocks drift, wall clocks are set, and machines of clients are suspended, while leases and times to live run.
  {
    ...plain,
    name: 'clocks',
    faults: [
      'setClock',
      'setClock',
      'setClock',
      'suspendClient',
      'pauseNode',
      'crashNode',
      'rebalance',
      'drainNode',
      'moveJob',
      'crashMetadata',
    ],
    faultsMin: 2,
    actions: { putExpiring: 4 },
    drifts: true,
  },
  // Nodes that are given up have sent changes to a slow persistent store, and others change the same keys meanwhile.
  {
    ...plain,
    name: 'overtaken',
    faults: ['storeIsSlow', 'storeIsSlow', 'storeLosesAnswers', 'pauseNode', 'pauseNode', 'crashNode'],
    faultsMin: 4,
    keys: ['a', 'b'],
    actions: { append: 0, list: 0.2, wait: 0.2 },
    large: 0.1,
    persist: 0.95,
    nodes: 2,
    slots: 4,
  },
  // Many keys in few slots, many calls at once, streams that are abandoned and as many buckets as a job may have, so that every message that grows with data,
  // and everything that is held for calls, reaches its bound. The faults begin while the clients call, and waits outlast the death of a client's machine.
  {
    ...plain,
    name: 'bounds',
    faults: [
      'rebalance',
      'rebalance',
      'crashTarget',
      'crashNode',
      'crashClient',
      'crashClient',
      'crashClient',
      'drainNode',
      'moveJob',
    ],
    faultsMin: 3,
    thinkMsMax: 60,
    horizonMs: 900,
    lanes: 6,
    waitSecondsMax: 6,
    keys: LONG_KEYS,
    actions: {
      putMany: 3,
      getMany: 1,
      stream: 3,
      putStream: 2,
      wait: 3,
      append: 2,
      deleteMany: 0.5,
      list: 0.5,
      putExpiring: 0.5,
    },
    persist: 0.1,
    transient: 0.1,
    fillsBuckets: true,
    nodes: 2,
    slots: 2,
    metadataServers: 2,
  },
  // The real controller: it starts nodes, and places and moves jobs, under the faults of the other profiles.
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

/** Profiles that no seed draws, because a profile more would change which one each seed draws. */
const undrawn: readonly Profile[] = [
  // Many keys are asked about while their slots move and their owners die.
  {
    ...plain,
    name: 'stats',
    faults: ['rebalance', 'rebalance', 'drainNode', 'crashTarget', 'crashNode', 'partition'],
    faultsMin: 2,
    horizonMs: 1_500,
    thinkMsMax: 80,
    keys: ['a', 'b', 'c/1', 'd', 'e', 'f', 'c/2', 'c/3'],
    actions: { statMany: 3, putExpiring: 2, stat: 0.3, list: 0.3, append: 0.5 },
    slots: 4,
  },
]

/** Fraction of seeds with the mixture of everything. */
const PLAIN_SHARE = 0.4

/** The profile of that name; for an empty name, the one that the seed draws. */
export function profileOf(
  name: string,
  random: { chance(p: number): boolean; pick<T>(of: readonly T[]): T },
): Profile {
  if (name === '') return random.chance(PLAIN_SHARE) ? plain : random.pick(profiles.slice(1))
  const all = [...profiles, ...undrawn]
  const found = all.find((profile) => profile.name === name)
  if (found === undefined)
    throw new Error(`no profile is called ${name}; there are ${all.map((each) => each.name).join(', ')}`)
  return found
}

/** The capacity of a job on each tier. In some runs all capacity is scarce, in others only RAM, so that objects move between the tiers. */
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
