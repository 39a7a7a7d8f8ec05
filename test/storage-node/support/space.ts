import type { RequestOf } from '../../../protocol/operations/operation.ts'
import type { peerOperations } from '../../../protocol/operations/plane-operations.ts'
import { type Clock, systemRuntime } from '../../../protocol/runtime.ts'
import { TierBudget } from '../../../storage-node/budget/budget.ts'
import { NodeUnderWay } from '../../../storage-node/budget/under-way.ts'
import { NodeJob } from '../../../storage-node/job/job.ts'
import type { Lease } from '../../../storage-node/job/lease.ts'
import { Arena } from '../../../storage-node/memory/arena.ts'
import { background } from '../../fixture/background.ts'

/** A job of four slots whose only node does not exist. */
export function newSpace(leaseMs = 60_000, slots = 4, tier = new TierBudget(1e9)): NodeJob {
  const { clock } = systemRuntime
  return newJob({ clock, lease: { untilMs: clock.monotonicMs() + leaseMs }, slots, tier })
}

/** As `newSpace`, by default with one slot, with a clock and a lease that the test controls. */
export function newJob(options: { clock: Clock; lease: Lease; slots?: number; tier?: TierBudget }): NodeJob {
  const { clock, lease, slots = 1, tier = new TierBudget(1e9) } = options
  return new NodeJob(
    { id: 'j', slots, metadata: 'm', term: 0 },
    {
      tier,
      arena: new Arena(1e9),
      clock,
      lease,
      lower: [],
      underWay: new NodeUnderWay(),
      background,
      onHigh: () => undefined,
      onFilling: () => undefined,
    },
  )
}

/** The whole index of slot 0, in one page. */
export function indexPage(
  epoch: number,
  keys: readonly string[],
): RequestOf<typeof peerOperations.slotIndex> {
  const entries = keys.map((key) => ({
    bucket: 0,
    key: Buffer.from(key),
    version: 7,
    base: 7,
    bytes: 5,
    tier: 0,
    ttlMs: 0,
    manifest: [],
    metadata: [],
    checksum: null,
  }))
  return {
    job: 'j',
    slot: 0,
    epoch,
    page: 0,
    last: true,
    entries,
    chunks: [],
    openPuts: [],
    readLeases: [],
    lostKeys: [],
    kept: [],
  }
}
