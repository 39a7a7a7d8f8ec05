import type { Planted } from './planted.ts'

/** Buckets that are deleted under load and created again under the same name. */
export const bucketBugs: readonly Planted[] = [
  {
    name: 'deleted-bucket-listed',
    what: 'Who knows a bucket by its old id is told that the new one of its name is empty.',
    file: 'storage-node/operations/listing.ts',
    find: '  requireBucket(job, request.bucket)\n',
    replace: '',
    also: [
      {
        file: 'storage-node/operations/listing.ts',
        find: "import { requireBucket } from '../job/locate.ts'\n",
        replace: '',
      },
    ],
    profile: 'buckets',
    seedsMax: 30,
  },
  {
    name: 'waits-of-a-deleted-bucket',
    what: 'Who waits for a key of a bucket that is deleted goes on waiting, and misses what is put into the new one of its name.',
    file: 'storage-node/job/job.ts',
    find: 'failWaitsIn(slot, this.waitSteps, (bucket) => this.buckets.isDeleted(bucket))',
    replace: 'void [failWaitsIn, slot]',
    profile: 'buckets',
    seedsMax: 30,
  },
  {
    name: 'write-to-a-deleted-bucket',
    what: 'A late write into a deleted bucket is answered as done.',
    file: 'storage-node/job/locate.ts',
    find: '  requireBucket(job, bucket)\n',
    replace: '',
    profile: 'buckets',
    seedsMax: 30,
  },
  {
    name: 'deleted-bucket-handed-over',
    what: 'What is left of a deleted bucket goes on to the next owner of a slot, and stays there.',
    file: 'storage-node/handoff/index-pages.ts',
    find: 'if (!job.buckets.isDeleted(entry.bucket)) enterObject(',
    replace: 'enterObject(',
    also: [
      {
        file: 'storage-node/handoff/index-pages.ts',
        find: 'if (job.buckets.isDeleted(bucket)) continue',
        replace: '',
      },
    ],
    profile: 'buckets',
    seedsMax: 300,
  },
  {
    name: 'bucket-stays-persisted',
    what: 'What is kept of a bucket stays in the persistent store when it is deleted (I16).',
    file: 'storage-node/handlers.ts',
    find: '        node.persistence.removeDeletedBuckets(job),\n',
    replace: '',
    profile: 'buckets',
    seedsMax: 30,
  },
]
