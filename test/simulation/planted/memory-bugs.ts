import type { Planted } from './planted.ts'

/** The arena: ownership of memory, and the location of what was moved. */
export const memoryBugs: readonly Planted[] = [
  {
    name: 'moved-and-not-found',
    what: 'A record that compaction moved is looked for where it was.',
    file: 'storage-node/memory/slot-table.ts',
    find: 'if (at !== NOWHERE) segment.moveTo(cell, at)\n    return true',
    replace: 'return true',
    seedsMax: 30,
  },
  {
    name: 'pin-ignored',
    what: 'Memory that is queued in a socket is given to another object.',
    file: 'storage-node/memory/job-memory.ts',
    find: 'if (pinned !== undefined) {\n      pinned.freed = true',
    replace: 'if (pinned !== undefined && blocks < 0) {\n      pinned.freed = true',
    seedsMax: 30,
  },
  {
    name: 'lookup-stops-at-a-hole',
    what: 'Keys behind a removed one are not found any more.',
    file: 'storage-node/memory/table-segment.ts',
    find: 'if (this.addressAt(at) === 0) break\n      const home',
    replace: 'break\n      const home',
    seedsMax: 30,
  },
  {
    name: 'landing-retained',
    what: 'Memory into which a payload was received that nobody stored is never free again.',
    file: 'storage-node/handlers.ts',
    find: 'landing?.abandon()',
    replace: 'void landing',
    seedsMax: 30,
  },
  {
    name: 'loan-not-ended',
    what: 'Who lent a payload of which every part was copied never hears that nobody reads it any more.',
    file: 'protocol/transport/outbox.ts',
    find: 'else frame.sent()',
    replace: 'else this.#frames += 0',
    seedsMax: 30,
  },
  {
    name: 'slot-retained',
    what: 'What a handoff has left behind is not charged any more, and its memory is never free again.',
    file: 'storage-node/job/job.ts',
    find: "void this.#background.once(['freeSlot', this.id], () => freeSlot(slot, this.#clock))",
    replace: 'void freeSlot',
    seedsMax: 30,
  },
]
