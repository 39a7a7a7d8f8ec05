import type { Planted } from './planted.ts'

/** The arena: ownership of memory, and the location of what was moved. */
export const memoryBugs: readonly Planted[] = [
  {
    name: 'moved-and-not-found',
    what: 'A record that compaction has moved is looked up at its old address.',
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
    seedsMax: 100,
  },
  {
    name: 'lookup-stops-at-a-hole',
    what: 'Keys after a removed one are no longer found.',
    file: 'storage-node/memory/table-segment.ts',
    find: 'if (this.addressAt(at) === 0) break\n      const home',
    replace: 'break\n      const home',
    seedsMax: 30,
  },
  {
    name: 'landing-retained',
    what: 'Memory of a received payload that was not stored is never freed.',
    file: 'storage-node/handlers.ts',
    find: 'landing?.abandon()',
    replace: 'void landing',
    seedsMax: 30,
  },
  {
    name: 'loan-not-ended',
    what: 'The owner of a payload whose parts were all copied is never notified that the payload is no longer read.',
    file: 'protocol/transport/outbox.ts',
    find: 'else frame.sent()',
    replace: 'else this.#frames += 0',
    seedsMax: 30,
  },
  {
    name: 'slot-retained',
    what: 'Leftovers of a handoff are no longer charged, and their memory is never freed.',
    file: 'storage-node/job/job.ts',
    find: "void this.#background.once(['freeSlot', this.id], () => freeSlot(slot, this.#clock))",
    replace: 'void freeSlot',
    seedsMax: 30,
  },
]
