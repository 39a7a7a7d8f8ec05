import type { Planted } from './planted.ts'

/** Buckets that are deleted under load and created again under the same name. */
export const bucketBugs: readonly Planted[] = [
  {
    name: 'deleted-bucket-listed',
    what: 'A client that uses the old id of a bucket finds the new bucket of that name empty.',
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
    what: 'A get that waits in a deleted bucket continues to wait, and misses puts into the new bucket of that name.',
    file: 'storage-node/job/job.ts',
    find: 'failWaitsIn(slot, this.waitSteps, (bucket) => this.buckets.isDeleted(bucket))',
    replace: 'void [failWaitsIn, slot]',
    profile: 'buckets',
    seedsMax: 30,
  },
  {
    name: 'write-to-a-deleted-bucket',
    what: 'A late write into a deleted bucket is acknowledged.',
    file: 'storage-node/job/locate.ts',
    find: '  requireBucket(job, bucket)\n',
    replace: '',
    profile: 'buckets',
    seedsMax: 30,
  },
  {
    name: 'bucket-stays-persisted',
    what: 'Persisted objects of a bucket stay in the persistent store when the bucket is deleted (I16).',
    file: 'storage-node/handlers.ts',
    find: '        node.persistence.removeDeletedBuckets(job),\n',
    replace: '',
    profile: 'buckets',
    seedsMax: 30,
  },
]
