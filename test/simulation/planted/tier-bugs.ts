import type { Planted } from './planted.ts'

/** Objects that are demoted and promoted: their bytes are in two places for a while. */
export const tierBugs: readonly Planted[] = [
  {
    name: 'demoted-unchecked',
    what: 'An object that was put anew while the one before left RAM gets the bytes of the one before (I17).',
    file: 'storage-node/tiering/candidate.ts',
    find: 'if (now?.version !== version || isManifest(now) || !isStillAt(now, from)) return false',
    replace: 'if (now === undefined || isManifest(now) || !isStillAt(now, from)) return false',
    seedsMax: 100,
  },
  {
    name: 'record-freed-under-read',
    what: 'A read below RAM that had to wait for its turn reads a record that was given to another object meanwhile (I17).',
    file: 'storage-node/operations/objects.ts',
    find: 'const read = await this.#lowerReads.read(job, wanted, () => this.#locationOf(job, request, version))',
    replace:
      'const known = this.#locationOf(job, request, version)\n    const read = await this.#lowerReads.read(job, wanted, () => known)',
    seedsMax: 600,
  },
  {
    name: 'read-below-unchecked',
    what: 'Bytes that were read below RAM answer for what was put meanwhile (I17).',
    file: 'storage-node/operations/objects.ts',
    find: 'if (object?.version !== version) {\n        sent()',
    replace: 'if (object === undefined) {\n        sent()',
    seedsMax: 100,
  },
  {
    name: 'demoted-not-handed-over',
    what: 'A handoff forgets what lies below RAM.',
    file: 'storage-node/handoff/source.ts',
    find: 'if (isDemoted(object)) return { location: object.location, range: { offset, length: bytes } }',
    replace: 'if (isDemoted(object)) return undefined',
    seedsMax: 30,
  },
  {
    name: 'record-retained',
    what: 'The record of an object below RAM is never free again.',
    file: 'storage-node/slot/slot-objects.ts',
    find: 'this.#tiers.remove(below)',
    replace: '',
    seedsMax: 30,
  },
  {
    name: 'records-of-the-dead-retained',
    what: 'What a node that died had on S3 stays there when its job ends, where no other node had anything there.',
    file: 'storage-node/tiers/job-tiers.ts',
    find: 'space ?? (job.bytesMax > 0 ? store.open(this.#job) : null)',
    replace: 'space ?? (job.bytesMax < 0 ? store.open(this.#job) : null)',
    seedsMax: 300,
  },
]
