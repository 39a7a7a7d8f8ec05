import type { Planted } from './planted.ts'

/** Objects that outlive their job: they are in two places, and the store takes its time. */
export const keptBugs: readonly Planted[] = [
  {
    name: 'chunk-ahead-unheard',
    what: 'Of chunks that are fetched ahead for the kept store nobody hears of those behind one that failed.',
    file: 'storage-node/persist/chunk-reader.ts',
    find: '      chunk.catch(() => undefined)\n',
    replace: '',
    seedsMax: 60,
  },
  {
    name: 'kept-not-back',
    what: 'Kept objects do not come back into slots whose owner died (I19).',
    file: 'storage-node/handlers.ts',
    find: '  node.recovery.restore(job, new Set(late.taken), returning)\n',
    replace: '',
    seedsMax: 20,
  },
  {
    name: 'kept-and-not-stored',
    what: 'What has changed the kept store leaves its slot as it was, where that is given away meanwhile (I16).',
    file: 'storage-node/persist/persistence.ts',
    find: 'const result = job.runAdmitted(change)',
    replace: 'const result = change()',
    seedsMax: 300,
  },
  {
    name: 'kept-commit-aborted',
    what: 'A large put is aborted after the kept store was changed for it (I16).',
    file: 'storage-node/persist/persistence.ts',
    find: '    largeObjects.holdOpen(place.slot, version)\n',
    replace: '',
    profile: 'kept',
    seedsMax: 150,
  },
  {
    name: 'consumed-unread',
    what: 'A consume of a kept object whose chunks the store alone has removes it there first (I16).',
    file: 'storage-node/persist/persistence.ts',
    find: 'if (head.kind === ObjectKind.manifest && head.version !== complete)',
    replace: 'if (head.version < 0)',
    seedsMax: 100,
  },
]
