import type { Planted } from './planted.ts'

/** Transfers of jobs between metadata servers; all of these bugs attack I18. */
export const departureBugs: readonly Planted[] = [
  {
    name: 'moved-job-dropped',
    what: 'A node drops a job that its metadata server has transferred to another one.',
    file: 'storage-node/membership/heartbeats.ts',
    find: 'new Set([...heads.flatMap((head) => head.jobs), ...moved.map(({ job }) => job)])',
    replace: 'new Set(heads.flatMap((head) => head.jobs))',
    seedsMax: 300,
  },
  {
    name: 'older-term-heeded',
    what: 'A node accepts messages of a server that has transferred the job, and returns to it.',
    file: 'storage-node/handoff/ownership.ts',
    find: 'if (term < (this.#jobs.get(job)?.term ?? 0)) {',
    replace: 'if (term < 0) {',
    also: [
      {
        file: 'storage-node/handoff/ownership.ts',
        find: 'if (request.term > job.term) job.lease.replace(',
        replace: 'if (request.metadata !== job.metadata) job.lease.replace(',
      },
    ],
    profile: 'departures',
    seedsMax: 100,
  },
  {
    name: 'nobody-says-where',
    what: 'A server forgets the new server of a job that it has transferred.',
    file: 'metadata/drive/jobs.ts',
    find: 'this.#moved.set(id, moved)\n      return true',
    replace: 'return true',
    seedsMax: 100,
  },
]
