import type { Planted } from './planted.ts'

/** What goes wrong when a job is handed from one metadata server to another; all of them attack I18. */
export const departureBugs: readonly Planted[] = [
  {
    name: 'handed-on-unsettled',
    what: 'A job is handed on while slots of it move, or were not confirmed to be served.',
    file: 'metadata/departure.ts',
    find: 'if (record.moves.length > 0 || record.leftovers.length > 0) return false',
    replace: 'if (record.epoch < 0) return false',
    seedsMax: 300,
  },
  {
    name: 'decides-while-handing',
    what: 'A server goes on deciding for a job that another one may have by then.',
    file: 'metadata/jobs.ts',
    find: 'return job !== undefined && !job.record.leaving?.handing',
    replace: 'return job !== undefined',
    seedsMax: 300,
  },
  {
    name: 'moved-job-dropped',
    what: 'A node drops a job of which its server says that another one has it.',
    file: 'storage-node/heartbeats.ts',
    find: 'new Set([...head.jobs, ...head.moved.map(({ job }) => job)])',
    replace: 'new Set(head.jobs)',
    seedsMax: 300,
  },
  {
    name: 'older-term-heeded',
    what: 'A node heeds the word of a server that has handed the job on, and is its again.',
    file: 'storage-node/node.ts',
    find: 'if (term < (this.jobs.get(job)?.term ?? 0)) {',
    replace: 'if (term < 0) {',
    also: [
      {
        file: 'storage-node/node.ts',
        find: 'if (request.term > job.term) job.obey(',
        replace: 'if (request.metadata !== job.metadata) job.obey(',
      },
    ],
    seedsMax: 1_000,
  },
  {
    name: 'moved-lease-renewed',
    what: 'A server renews leases for a job that it has handed on.',
    file: 'storage-node/node.ts',
    find: 'if (job !== undefined && job.term < term) job.holdLease()',
    replace: 'if (job !== undefined && term < 0) job.holdLease()',
    seedsMax: 1_000,
  },
  {
    name: 'silence-counted-from-before',
    what: 'A server that takes a job counts silence of its nodes from before they were under its leases.',
    file: 'metadata/placements.ts',
    find: 'for (const node of nodes) this.#leases.grant(node, now)',
    replace: 'for (const node of nodes) this.#leases.watch(node, now)',
    seedsMax: 1_000,
  },
  {
    name: 'taken-again-after-its-end',
    what: 'A late repetition of a hand-over begins a job again that has ended.',
    file: 'metadata/jobs.ts',
    find: 'if (known >= term || this.#ended.has(id)) return null',
    replace: 'if (known >= term) return null',
    seedsMax: 1_000,
  },
  {
    name: 'ended-while-handing',
    what: 'A server ends a job that it is handing on, which then comes to the next one after its end.',
    file: 'metadata/jobs.ts',
    find: 'if (record?.leaving?.handing) throw isHandedOn(id)\n      await this.#store.remove(id)',
    replace: 'await this.#store.remove(id)',
    seedsMax: 1_000,
  },
  {
    name: 'nobody-says-where',
    what: 'A server forgets where a job is that it has handed on.',
    file: 'metadata/jobs.ts',
    find: 'this.#moved.set(id, moved)\n      return true',
    replace: 'return true',
    seedsMax: 100,
  },
]
