import type { Planted } from './planted.ts'

/** What a slot's index has to carry, and what its new owner makes of it. */
export const indexBugs: readonly Planted[] = [
  {
    name: 'index-without-a-page',
    what: 'The second page of an index is confirmed and not entered (I3).',
    file: 'storage-node/handoff-target.ts',
    find: 'enterPage(arriving.slot, request, {',
    replace: 'if (page !== 1) enterPage(arriving.slot, request, {',
    seedsMax: 30,
  },
  {
    name: 'index-without-chunks',
    what: 'The index of a slot has its objects, and not the chunks of large ones (I11).',
    file: 'storage-node/slot-index.ts',
    find: 'const chunks = chunkEntries(slot)',
    replace: 'const chunks = [].values()',
    seedsMax: 30,
  },
  {
    name: 'index-without-open-puts',
    what: 'A large put does not survive that the slot of its key moves (I11).',
    file: 'storage-node/slot-index.ts',
    find: 'openPuts: last ? leasesLeft(slot.openPuts, now) : []',
    replace: 'openPuts: []',
    seedsMax: 60,
  },
  {
    name: 'index-without-read-leases',
    what: 'Chunks are freed under a reader when the slot of the key moves (I11).',
    file: 'storage-node/slot-index.ts',
    find: 'readLeases: last ? leasesLeft(slot.readLeases, now) : []',
    replace: 'readLeases: []',
    seedsMax: 30,
  },
  {
    name: 'index-without-lost-keys',
    what: 'A key that was lost is only missing once its slot has moved on (I14).',
    file: 'storage-node/slot-index.ts',
    find: 'lostKeys: last ? lostKeys(slot) : []',
    replace: 'lostKeys: []',
    seedsMax: 30,
  },
  {
    name: 'index-without-expiry',
    what: 'An object with a time to live becomes immortal when its slot moves.',
    file: 'storage-node/slot-index.ts',
    find: 'ttlMs: expiresAtMs === 0 ? 0 : Math.max(1, Math.round(expiresAtMs - wallMs))',
    replace: 'ttlMs: 0',
    seedsMax: 30,
  },
  {
    name: 'list-without-remote',
    what: 'A listing passes over keys whose bytes have not come yet.',
    file: 'storage-node/listing.ts',
    find: 'if (key <= this.#after ||',
    replace: 'if (object.content instanceof Remote || key <= this.#after ||',
    also: [
      {
        file: 'storage-node/listing.ts',
        find: "import { contentBytes } from './content.ts'",
        replace: "import { contentBytes, Remote } from './content.ts'",
      },
    ],
    seedsMax: 30,
  },
  {
    name: 'append-to-remote-anew',
    what: 'An append to an object whose bytes have not come yet begins a new one.',
    file: 'storage-node/objects.ts',
    find: 'if (object?.content instanceof Remote) {',
    replace: 'if (object === null) {',
    also: [
      {
        file: 'storage-node/objects.ts',
        find: 'else if (content !== undefined) {',
        replace: 'else if (content !== undefined && !(content instanceof Remote)) {',
      },
    ],
    seedsMax: 30,
  },
  {
    name: 'delete-many-stops-short',
    what: 'Keys whose slot has moved are left by deleteMany.',
    file: 'client/delete-many.ts',
    find: 'const stale = batch.filter((_, index) => results[index] === DeleteResult.stale)',
    replace: 'const stale = batch.filter((_, index) => results[index] === undefined)',
    seedsMax: 500,
  },
]
