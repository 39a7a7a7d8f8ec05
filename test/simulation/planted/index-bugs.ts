import type { Planted } from './planted.ts'

/** The contents of a slot's index, and how the new owner uses it. */
export const indexBugs: readonly Planted[] = [
  {
    name: 'index-without-a-page',
    what: 'The second page of an index is confirmed and not entered (I3).',
    file: 'storage-node/handoff/target.ts',
    find: 'enterPage(job, arriving.slot, {',
    replace: 'if (page !== 1) enterPage(job, arriving.slot, {',
    seedsMax: 30,
  },
  {
    name: 'index-without-chunks',
    what: 'The index of a slot lacks the chunks of large objects (I11).',
    file: 'storage-node/handoff/index-pages.ts',
    find: 'yield* chunkParts(slot)',
    replace: '',
    seedsMax: 30,
  },
  {
    name: 'index-without-open-puts',
    what: "A large put does not survive a move of its key's slot (I11).",
    file: 'storage-node/handoff/index-pages.ts',
    find: 'for (const item of leasesLeft(openPuts(slot), now))',
    replace: 'for (const item of [])',
    seedsMax: 100,
  },
  {
    name: 'index-without-read-leases',
    what: 'Chunks are freed during a read when the slot of the key moves (I11).',
    file: 'storage-node/handoff/index-pages.ts',
    find: 'for (const item of leasesLeft(slot.readLeases, now))',
    replace: 'for (const item of [])',
    seedsMax: 1_000,
  },
  {
    name: 'index-without-lost-keys',
    what: 'A lost key becomes a missing one when its slot moves (I14).',
    file: 'storage-node/handoff/index-pages.ts',
    find: 'for (const item of lostKeys(slot))',
    replace: 'for (const item of [])',
    seedsMax: 1_000,
  },
  {
    name: 'index-without-expiry',
    what: 'An object with a time to live never expires after its slot has moved.',
    file: 'storage-node/handoff/index-pages.ts',
    find: 'ttlMs: expiresAtMs === 0 ? 0 : Math.max(1, Math.round(expiresAtMs - wallMs))',
    replace: 'ttlMs: 0',
    profile: 'expiring',
    seedsMax: 30,
  },
  {
    name: 'list-without-remote',
    what: 'A listing skips keys of slots whose bytes have not all arrived yet.',
    file: 'storage-node/operations/key-gathering.ts',
    find: 'if (key.bucket !== this.#asked.bucket ||',
    replace: 'if (!slot.isComplete || key.bucket !== this.#asked.bucket ||',
    seedsMax: 30,
  },
  {
    name: 'append-to-remote-anew',
    what: 'An append to an object whose bytes have not arrived yet creates a new object.',
    file: 'storage-node/operations/objects.ts',
    find: 'if (object !== undefined && isOutsideRam(object)) {',
    replace:
      'if (object !== undefined && isOutsideRam(object)) this.#table.remove(job, place, object)\n    if (object === null) {',
    seedsMax: 30,
  },
  {
    name: 'delete-many-stops-short',
    what: 'deleteMany skips keys whose slot has moved.',
    file: 'client/objects/delete-many.ts',
    find: 'const stale = batch.filter((_, index) => results[index] === DeleteResult.stale)',
    replace: 'const stale = batch.filter((_, index) => results[index] === undefined)',
    seedsMax: 100,
  },
]
