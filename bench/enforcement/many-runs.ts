import { MANIFEST_RUNS_MAX } from '../../protocol/limits.ts'
import { parseTicket } from '../../protocol/model/ticket.ts'
import { dataOperations, PutCondition } from '../../protocol/operations/data-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'

/** What no client of Mayfly would send: an object whose manifest has as many runs as there may be. The job has one node. */
export async function putManyRuns(ticket: string, name: string): Promise<void> {
  const { token, placement } = parseTicket(ticket)
  const pool = new CallerPool({ dial: dialTcp, runtime: systemRuntime, token: () => token })
  try {
    const caller = await pool.to(placement.nodes[0]?.address ?? '')
    const { epoch } = placement
    const at = { epoch, bucket: 0, key: Buffer.from(name), condition: PutCondition.always, ifVersion: 0 }
    const until = { deadlineMs: systemRuntime.clock.monotonicMs() + 10_000 }
    const { head } = await caller.call(dataOperations.putBegin, at, until)
    const manifest = Array.from({ length: MANIFEST_RUNS_MAX }, (_, index) => ({
      count: 1,
      chunkBytes: 1 + (index % 2),
    }))
    const rest = { lane: 0, sequence: 1, ttlSeconds: 0, metadata: [], keptBucket: '', manifest }
    await caller.call(dataOperations.putCommit, { ...at, ...rest, version: head.version }, until)
  } finally {
    pool.close()
  }
}
