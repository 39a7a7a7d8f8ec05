import type { Planted } from './planted.ts'

/** Objects that are demoted and promoted: their bytes are in two places for a while. */
export const tierBugs: readonly Planted[] = [
  {
    name: 'demoted-unchecked',
    what: 'An object that is put while the previous one is demoted gets the bytes of the previous one (I17).',
    file: 'storage-node/tiering/candidate.ts',
    find: 'if (now?.version !== version || isManifest(now) || !isStillAt(now, from)) return false',
    replace: 'if (now === undefined || isManifest(now) || !isStillAt(now, from)) return false',
    seedsMax: 100,
  },
  {
    name: 'record-freed-under-read',
    what: 'A queued read below RAM reads a record that was reused for another object (I17).',
    file: 'storage-node/operations/objects.ts',
    find: 'const wanted = { ...part, name: objectReadName(place, version) }\n    const read = await this.#lowerReads.read(job, wanted, () => this.#locationOf(job, place, version))',
    replace:
      'const wanted = { ...part, name: objectReadName(place, version) }\n    const known = this.#locationOf(job, place, version)\n    const read = await this.#lowerReads.read(job, wanted, () => known)',
    seedsMax: 600,
  },
  {
    name: 'read-below-unchecked',
    what: 'Bytes that were read from below RAM are returned for an object that was put meanwhile (I17).',
    file: 'storage-node/operations/objects.ts',
    find: 'if (object?.version !== version) {\n        sent()',
    replace: 'if (object === undefined) {\n        sent()',
    seedsMax: 100,
  },
  {
    name: 'demoted-not-handed-over',
    what: 'A handoff loses objects below RAM.',
    file: 'storage-node/handoff/source.ts',
    find: 'if (isDemoted(object)) return { location: object.location, range: { offset, length: bytes } }',
    replace: 'if (isDemoted(object)) return undefined',
    seedsMax: 30,
  },
  {
    name: 'record-retained',
    what: 'The record of an object below RAM is never freed.',
    file: 'storage-node/slot/slot-objects.ts',
    find: 'this.#tiers.remove(below)',
    replace: '',
    seedsMax: 30,
  },
  {
    name: 'records-of-the-dead-retained',
    what: 'Records of a dead node on S3 remain after their job has ended if no other node has records there.',
    file: 'storage-node/tiers/job-tiers.ts',
    find: 'space ?? (job.bytesMax > 0 ? store.open(this.#job) : null)',
    replace: 'space ?? (job.bytesMax < 0 ? store.open(this.#job) : null)',
    seedsMax: 300,
  },
]
