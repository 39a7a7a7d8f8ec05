import { isError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { hashKey, slotOf } from '../../protocol/model/hash.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import { peerOperations } from '../../protocol/operations/plane-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { hasBit } from '../../protocol/wire/bitmap.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { Background } from '../../service/process/background.ts'
import type { NodeJob } from '../job/job.ts'
import { RECLAIM_BATCH } from '../limits.ts'
import type { PlacementCache } from '../membership/placement-cache.ts'
import type { ChunkGroup } from '../slot/chunks.ts'

/** The node whose chunks are checked. */
export interface ChunkHolder {
  readonly id: string
  readonly jobs: ReadonlyMap<string, NodeJob>
  /** One bit per version: whether it is still needed. */
  versionsAlive(request: RequestOf<typeof peerOperations.versionsAlive>): Uint8Array
}

/**
 * Frees chunks of large objects that were never committed, or whose object was overwritten, deleted, consumed
 * or expired. Asks the owner of the key before freeing; without an answer the chunks stay until the next
 * round.
 */
export class ChunkGc {
  readonly #node: ChunkHolder
  readonly #pool: CallerPool
  readonly #clock: Clock
  readonly #placements: PlacementCache
  readonly #background: Background

  constructor(
    node: ChunkHolder,
    options: { pool: CallerPool; clock: Clock; placements: PlacementCache; background: Background },
  ) {
    this.#node = node
    this.#background = options.background
    this.#pool = options.pool
    this.#clock = options.clock
    this.#placements = options.placements
  }

  /**
   * One round over all jobs. Never rejects: a job whose owners cannot be reached is left for the next one.
   */
  async round(): Promise<void> {
    this.#placements.forgetOthers((id) => this.#node.jobs.has(id))
    for (const job of [...this.#node.jobs.values()]) {
      try {
        await this.#collectJob(job)
        this.#background.succeeded(['reclaim', job.id])
      } catch (error) {
        this.#placements.forget(job.id)
        if (!job.ended && !isError(error, 'STALE_PLACEMENT', 'JOB_MOVED', 'JOB_ENDED'))
          this.#background.failed(['reclaim', job.id], error)
      }
    }
  }

  async #collectJob(job: NodeJob): Promise<void> {
    const groups = groupsOf(job)
    if (groups.size === 0) return
    const byOwner = new Map<PlacedNode, string[]>()
    for (const [name, [{ group }]] of groups) {
      const owner = await this.#ownerOf(job, group)
      if (owner === null) continue
      const names = byOwner.get(owner)
      if (names === undefined) byOwner.set(owner, [name])
      else names.push(name)
    }
    for (const [owner, names] of byOwner) {
      for (let from = 0; from < names.length; from += RECLAIM_BATCH) {
        const batch = names.slice(from, from + RECLAIM_BATCH)
        await this.#collectBatch(
          job,
          owner,
          batch.map((name) => groups.get(name) ?? []),
        )
      }
    }
  }

  async #collectBatch(job: NodeJob, owner: PlacedNode, batch: readonly Held[][]): Promise<void> {
    const versions = batch.flatMap(([first]) => (first === undefined ? [] : [first.group]))
    const alive = await this.#versionsAlive(job, owner, versions)
    // A missing bit would count as not needed.
    if (alive.length * 8 < versions.length)
      throw violation(`${alive.length} bytes are no answer about ${versions.length} versions`)
    batch.forEach((held, index) => {
      if (hasBit(alive, index)) return
      for (const { slot, groupKey } of held) {
        const owned = job.slots[slot]
        if (owned !== undefined) job.charge(-owned.chunks.removeGroup(groupKey))
      }
    })
  }

  async #versionsAlive(
    job: NodeJob,
    owner: PlacedNode,
    versions: readonly ChunkGroup[],
  ): Promise<Uint8Array> {
    const request = { job: job.id, versions }
    if (owner.id === this.#node.id) return this.#node.versionsAlive(request)
    const caller = await this.#pool.to(owner.address)
    const answer = await caller.call(peerOperations.versionsAlive, request, { deadlineMs: this.#deadline() })
    return answer.head.alive
  }

  async #ownerOf(job: NodeJob, { key, bucket }: ChunkGroup): Promise<PlacedNode | null> {
    return await this.#placements.ownerOf(job, (slots) => slotOf(hashKey(key, bucket), slots))
  }

  #deadline(): number {
    return this.#clock.monotonicMs() + CONTROL_CALL_MS
  }
}

interface Held {
  readonly slot: number
  readonly groupKey: string
  readonly group: ChunkGroup
}

/** All versions with chunks on this node, with the slots that hold them. No list is empty. */
function groupsOf(job: NodeJob): Map<string, [Held, ...Held[]]> {
  const groups = new Map<string, [Held, ...Held[]]>()
  job.slots.forEach((slot, index) => {
    for (const [groupKey, group] of slot?.chunks.groups ?? []) {
      const held = { slot: index, groupKey, group }
      const known = groups.get(groupKey)
      if (known === undefined) groups.set(groupKey, [held])
      else known.push(held)
    }
  })
  return groups
}
