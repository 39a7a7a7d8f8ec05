import type { Planted } from './planted.ts'

/** Stores behind the nodes that refuse requests, are slow, or lose answers. */
export const storeBugs: readonly Planted[] = [
  {
    name: 'failed-task-rejects',
    what: 'A failing background task is an unhandled rejection, which ends its process (I21).',
    file: 'service/process/background.ts',
    find: 'this.failed(task, error)\n      return false',
    replace: 'throw error',
    profile: 'stores',
    seedsMax: 30,
  },
  {
    name: 'record-number-reused',
    what: 'A deletion on S3 removes a newer record with the same number (I17).',
    file: 'storage-node/tiers/s3/s3-space.ts',
    find: 'const record = this.#next++',
    replace: 'const record = this.#records.size + this.#writes.size + 0 * this.#next++',
    seedsMax: 100,
  },
]
