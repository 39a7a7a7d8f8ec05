import type { Planted } from './planted.ts'

/** Persisted objects: they are in two places, and the store is slow. */
export const persistedBugs: readonly Planted[] = [
  {
    name: 'chunk-ahead-unheard',
    what: 'Of chunks that are fetched ahead for the persistent store nobody hears of those behind one that failed.',
    file: 'storage-node/persist/chunk-reader.ts',
    find: '      chunk.catch(() => undefined)\n',
    replace: '',
    seedsMax: 60,
  },
  {
    name: 'persisted-not-recovered',
    what: 'Persisted objects do not come back into slots whose owner died (I19).',
    file: 'storage-node/handlers.ts',
    find: '  node.recovery.restore(job, new Set(late.taken), returning)\n',
    replace: '',
    seedsMax: 20,
  },
  {
    name: 'persisted-and-not-stored',
    what: 'What has changed the persistent store leaves its slot as it was, where that is given away meanwhile (I16).',
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
    what: 'A consume of a persisted object whose chunks the store alone has removes it there first (I16).',
    file: 'storage-node/persist/persistence.ts',
    find: 'if (head.kind === ObjectKind.manifest && head.version !== complete)',
    replace: 'if (head.version < 0)',
    seedsMax: 100,
  },
  {
    name: 'persisted-of-a-deleted-bucket',
    what: 'What a bucket that is deleted had on a node that died stays in the persistent store (I16).',
    file: 'storage-node/persist/recovery.ts',
    find: 'if (id === undefined || id > firstUnused) return true',
    replace: 'if (id === undefined || firstUnused < 0) return ids === null',
    profile: 'buckets',
    seedsMax: 100,
  },
  {
    name: 'persisted-file-not-discarded',
    what: 'Where a half-written file cannot be removed nobody hears what became of its put.',
    file: 'service/persisted/persisted-folder.ts',
    find: 'for (const file of incoming) await discard(file)',
    replace: 'for (const file of incoming) await removeFile(file)',
    profile: 'stores',
    seedsMax: 30,
  },
]
