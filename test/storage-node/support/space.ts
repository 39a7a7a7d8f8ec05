import type { peerOperations } from '../../../protocol/operations/control-operations.ts'
import type { RequestOf } from '../../../protocol/operations/operation.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { TierBudget } from '../../../storage-node/budget/budget.ts'
import { NodeUnderWay } from '../../../storage-node/budget/under-way.ts'
import { NodeJob } from '../../../storage-node/job/job.ts'
import { Arena } from '../../../storage-node/memory/arena.ts'
import { background } from '../../fixture/background.ts'

/** A job of four slots whose only node does not exist. */
export function newSpace(leaseMs = 60_000, slots = 4, tier = new TierBudget(1e9)): NodeJob {
  const { clock } = systemRuntime
  return new NodeJob(
    { id: 'j', slots, metadata: 'm', term: 0 },
    {
      tier,
      arena: new Arena(1e9),
      clock,
      lease: { untilMs: clock.monotonicMs() + leaseMs },
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
