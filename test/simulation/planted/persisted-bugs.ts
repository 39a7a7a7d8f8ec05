import type { Planted } from './planted.ts'

/** Persisted objects: they are in two places, and the store is slow. */
export const persistedBugs: readonly Planted[] = [
  {
    name: 'chunk-ahead-unheard',
    what: 'If one of the chunks prefetched for the persistent store fails, rejections of later ones are unhandled.',
    file: 'storage-node/persist/chunk-reader.ts',
    find: '      chunk.catch(() => undefined)\n',
    replace: '',
    seedsMax: 60,
  },
  {
    name: 'persisted-not-recovered',
    what: 'Persisted objects are not recovered into slots whose owner died (I19).',
    file: 'storage-node/handlers.ts',
    find: '  node.recovery.restore(job, new Set(late.taken), returning)\n',
    replace: '',
    seedsMax: 20,
  },
  {
    name: 'persisted-and-not-stored',
    what: 'A change of the persistent store is not applied to its slot if the slot is released meanwhile (I16).',
    file: 'storage-node/persist/persistence.ts',
    find: 'const result = job.runAdmitted(change)',
    replace: 'const result = change()',
    seedsMax: 300,
  },
  {
    name: 'persisted-commit-aborted',
    what: 'A large put is aborted after the persistent store was changed for it (I16).',
    file: 'storage-node/persist/persistence.ts',
    find: '    largeObjects.holdOpen(place.slot, version)\n',
    replace: '',
    profile: 'persisted',
    seedsMax: 150,
  },
  {
    name: 'consumed-unread',
    what: 'A consume of a persisted object whose chunks are only in the store removes it there first (I16).',
    file: 'storage-node/persist/persistence.ts',
    find: 'if (head.kind === ObjectKind.manifest && head.version !== complete)',
    replace: 'if (head.version < 0)',
    seedsMax: 100,
  },
  {
    name: 'persisted-of-a-deleted-bucket',
    what: 'Persisted objects that a deleted bucket had on a dead node stay in the persistent store (I16).',
    file: 'storage-node/persist/recovery.ts',
    find: 'if (id === undefined || id > firstUnused) return true',
    replace: 'if (id === undefined || firstUnused < 0) return ids === null',
    profile: 'buckets',
    seedsMax: 100,
  },
  {
    name: 'persisted-stamp-ignored',
    what: 'Bytes of the persistent store are returned without a check that they are of the requested version (I25).',
    file: 'service/persisted/persisted-s3.ts',
    find: 'if (found === null || (stamp !== undefined && !isSameStamp(found.stamp, stamp))) break',
    replace:
      'if (found === null || (stamp !== undefined && !isSameStamp(found.stamp, stamp) && found.bytes < 0)) break',
    also: [
      {
        file: 'service/persisted/persisted-folder.ts',
        find: 'stamp === undefined ? !this.#isOver(found) : isSameStamp(found.note?.stamp ?? null, stamp)',
        replace: '!this.#isOver(found) || (stamp !== undefined && isSameStamp(null, stamp))',
      },
    ],
    profile: 'overtaken',
    seedsMax: 100,
  },
  {
    name: 'persisted-file-not-discarded',
    what: 'If an incomplete file cannot be removed, that error replaces the outcome of its put.',
    file: 'service/persisted/persisted-folder.ts',
    find: 'for (const file of incoming) await discard(file)',
    replace: 'for (const file of incoming) await removeFile(file)',
    profile: 'stores',
    seedsMax: 30,
  },
]
