import type { Planted } from './planted.ts'

/** The order of a handoff: freeze, index, publish, serve, pull, drop. */
export const handoffBugs: readonly Planted[] = [
  {
    name: 'release-skipped',
    what: 'The source serves a slot that it has released (I1).',
    file: 'storage-node/handoff/source.ts',
    find: 'job.owned.release(index)',
    replace: '',
    seedsMax: 30,
  },
  {
    name: 'published-unconfirmed',
    what: 'A move is published, and its target serves, before the target has confirmed the whole index (I3).',
    file: 'storage-node/handoff/source.ts',
    find: 'await Promise.all(slots.map((slot) => this.#sendOnce(job, slot, target)))',
    replace:
      'void Promise.all(slots.map((slot) => this.#sendOnce(job, slot, target))).catch(() => undefined)',
    also: [
      {
        file: 'storage-node/handoff/target.ts',
        find: 'if (arriving?.epoch !== epoch || !arriving.complete) {',
        replace: 'if (arriving?.epoch !== epoch) {',
      },
    ],
    seedsMax: 100,
  },
  {
    name: 'published-before-released',
    what: 'A move is published, and its target serves, before its source has released the slot (I1, I3).',
    file: 'metadata/drive/driver.ts',
    find: 'if (!(await this.sendOwnership(job, target))) return',
    replace:
      "if (!(await this.sendOwnership(job, target))) return\n    await this.#applyEvent(job, move, 'indexDelivered')",
    also: [
      {
        file: 'storage-node/handoff/target.ts',
        find: 'if (arriving?.epoch !== epoch || !arriving.complete) {',
        replace: 'if (epoch === 0) {',
      },
    ],
    seedsMax: 30,
  },
  {
    name: 'told-before-written',
    what: 'Nodes and clients learn a decision before it is stored (I8).',
    file: 'metadata/drive/jobs.ts',
    find: 'await this.#store.save(record)\n    if (job === undefined) this.#jobs.set(id, { record, view: new View(record) })\n    else job.record = record\n',
    replace:
      'if (job === undefined) this.#jobs.set(id, { record, view: new View(record) })\n    else job.record = record\n    void this.#store.save(record)\n',
    seedsMax: 1_000,
  },
  {
    name: 'decision-unwritten',
    what: 'A decision is not stored, so it is forgotten when its process dies (I8).',
    file: 'metadata/drive/jobs.ts',
    find: 'await this.#store.save(record)',
    replace: 'if (record.epoch < 4) await this.#store.save(record)',
    seedsMax: 30,
  },
  {
    name: 'remote-unchecked',
    what: 'Bytes that arrive for a remote entry replace an object that was put meanwhile (I6).',
    file: 'storage-node/handoff/remote-entries.ts',
    find: 'return object?.version === version && isRemote(object)',
    replace: 'return object !== undefined && version > 0',
    seedsMax: 100,
  },
  {
    name: 'dropped-unsettled',
    what: 'The source frees a slot before its new owner has all bytes (I7).',
    file: 'metadata/drive/driver.ts',
    find: 'if (answer.settled) return await',
    replace: 'return await',
    also: [
      {
        file: 'storage-node/handoff/target.ts',
        find: 'if (open.length === 0) return true',
        replace: 'if (open.length >= 0) return true',
      },
    ],
    seedsMax: 30,
  },
  {
    name: 'moved-unsettled',
    what: 'A slot moves again before it has settled (I7).',
    file: 'metadata/decide/moves.ts',
    find: 'const underWay = new Set(record.moves.flatMap(({ slots }) => slots))',
    replace:
      'const underWay = new Set(record.moves.flatMap(({ slots, published }) => (published ? [] : slots)))',
    also: [
      {
        file: 'storage-node/handoff/source.ts',
        find: 'if (!slot.isComplete)',
        replace: 'if (slot.epoch < 0)',
      },
    ],
    profile: 'handoffs',
    seedsMax: 30,
  },
  {
    name: 'older-word-accepted',
    what: 'A node acquires a slot by a message that is older than its own state (I2).',
    file: 'storage-node/handoff/target.ts',
    find: 'if (epoch < known) return false',
    replace: 'if (epoch < known && isOwned) return false',
    also: [
      {
        file: 'storage-node/handoff/ownership.ts',
        find: 'if (generation < known) {',
        replace: 'if (generation < 0) {',
      },
    ],
    seedsMax: 100,
  },
  {
    name: 'late-index-retained',
    what: 'An index that arrives after its handoff was cancelled is never freed.',
    file: 'storage-node/handoff/target.ts',
    find: ' || job.owned.refused.get(index) >= epoch) return',
    replace: ') return',
    seedsMax: 1_000,
  },
  {
    name: 'leftover-retained',
    what: 'Leftovers of a handoff are never freed.',
    file: 'metadata/decide/moves.ts',
    find: 'return { ...record, leftovers: [...record.leftovers, leftover] }',
    replace: 'return record',
    seedsMax: 30,
  },
  {
    name: 'own-forgets',
    what: 'A repeated message about a slot that the node already owns clears the slot (I2).',
    file: 'storage-node/handoff/target.ts',
    find: "if (owned !== undefined && owned.source !== '' && source === '') markRemoteLost(job, owned)",
    replace:
      'if (owned !== undefined) job.owned.give(index, { slot: job.newSlot({ epoch, lost: owned.lost }), lost: owned.lost })',
    seedsMax: 30,
  },
  {
    name: 'version-reused',
    what: 'A new owner issues versions that the previous owner has already issued (I10).',
    file: 'storage-node/slot/slot.ts',
    find: 'return this.epoch * VERSIONS_PER_EPOCH + this.#counter++',
    replace: 'return VERSIONS_PER_EPOCH + this.#counter++',
    seedsMax: 30,
  },
  {
    name: 'slot-not-checked',
    what: 'A node answers for slots that it does not own (I1).',
    file: 'storage-node/job/job.ts',
    find: 'if (slot === undefined) throw',
    replace:
      'if (slot === undefined) return this.slots.find((other) => other !== undefined) as Slot\n    if (index < 0) throw',
    seedsMax: 30,
  },
  {
    name: 'waits-not-failed',
    what: 'A get that is parked in a slot stays parked when the slot moves, and misses puts at the new owner (I1).',
    file: 'storage-node/handoff/source.ts',
    find: 'failWaits(slot, job.waitSteps, () => stalePlacement(',
    replace: 'if (index < 0) failWaits(slot, job.waitSteps, () => stalePlacement(',
    seedsMax: 1_000,
  },
]
