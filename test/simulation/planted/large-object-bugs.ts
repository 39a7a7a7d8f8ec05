import type { Planted } from './planted.ts'

/** Chunked objects: leases of versions, and the garbage collection of chunks. */
export const largeObjectBugs: readonly Planted[] = [
  {
    name: 'commit-without-lease',
    what: 'A large put whose lease lapsed is committed over chunks that were freed (I11).',
    file: 'storage-node/operations/large-objects.ts',
    find: '    this.requireOpen(place.slot, version)\n    this.#table.check',
    replace: '    this.#table.check',
    seedsMax: 1_000,
  },
  {
    name: 'chunks-freed-unasked',
    what: "A node frees chunks without regard to the answer of their key's owner (I11).",
    file: 'storage-node/gc/chunk-gc.ts',
    find: 'if (hasBit(alive, index)) return',
    replace: 'if (hasBit(alive, index) && index < 0) return',
    seedsMax: 30,
  },
  {
    name: 'reader-without-lease',
    what: 'Chunks of a version that was consumed or overwritten are freed while it is read (I11).',
    file: 'storage-node/operations/objects.ts',
    find: 'place.slot.readLeases.hold(version, lease, this.#clock.monotonicMs() + READ_LEASE_MS)',
    replace: 'place.slot.readLeases.end(version, lease)',
    seedsMax: 30,
  },
  {
    name: 'ended-though-leased',
    what: 'Chunks of a version that is still being read are freed at once when it is overwritten or deleted (I11).',
    file: 'storage-node/job/ended-chunks.ts',
    find: 'if (slot.readLeases.isHeld(version, nowMs)) return slot.readLeases.defer(ending)',
    replace: 'if (nowMs < 0) return',
    seedsMax: 30,
  },
  {
    name: 'one-reader-ends-all',
    what: 'A reader that is done ends the leases of other readers, so their chunks are freed (I11).',
    file: 'storage-node/slot/version-leases.ts',
    find: 'readers.untilMs.delete(lease)\n    if',
    replace: 'readers.untilMs.clear()\n    if',
    seedsMax: 300,
  },
  {
    name: 'open-put-not-wanted',
    what: 'Chunks of a put under way are freed before it commits (I11).',
    file: 'storage-node/operations/large-objects.ts',
    find: 'slot.isOpen(request.version, now) ||',
    replace: 'slot.openPuts.size < 0 ||',
    seedsMax: 30,
  },
  {
    name: 'stale-owner-asked',
    what: "A node that no longer owns a key answers that its object's chunks are not needed (I11).",
    file: 'storage-node/node.ts',
    find: 'this.largeObjects.isAlive(job, version) ? [index] : []',
    replace:
      '(() => { try { return this.largeObjects.isAlive(job, version) } catch { return false } })() ? [index] : []',
    seedsMax: 30,
  },
  {
    name: 'chunks-never-freed',
    what: 'Chunks of overwritten and deleted objects are never freed.',
    file: 'storage-node/gc/chunk-gc.ts',
    find: 'if (owned !== undefined) job.charge(-owned.chunks.removeGroup(groupKey))',
    replace: 'if (owned === undefined) return',
    seedsMax: 30,
  },
  {
    name: 'bucket-not-in-name',
    what: 'Chunks of one key in two buckets are taken for the same (I12).',
    file: 'storage-node/slot/chunks.ts',
    find: '{bucket}/$',
    replace: '{0}/$',
    seedsMax: 100,
  },
]
