/** A bug that is built into the planes to see whether the simulation catches it. */
export interface Planted {
  readonly name: string
  /** What goes wrong with it. */
  readonly what: string
  readonly file: string
  /** Stands in the file exactly once, or the build fails: a planted bug cannot rot. */
  readonly find: string
  readonly replace: string
  /** Of the seeds from 1 to this one, at least one fails. */
  readonly seedsMax: number
}

export const planted: readonly Planted[] = [
  {
    name: 'no-lost-mark',
    what: 'The slots of a dead node answer NOT_FOUND instead of OBJECT_LOST.',
    file: 'metadata/decisions.ts',
    find: 'owners[slot] === NOBODY && record.owners[slot] !== NOBODY ? 1 : before,',
    replace: 'before,',
    seedsMax: 100,
  },
  {
    name: 'own-forgets',
    what: 'Hearing again of a slot that it owns already makes a node forget what is in it.',
    file: 'storage-node/node.ts',
    find: 'job.slots[index] ??= new Slot(epoch, lost)',
    replace: 'job.slots[index] = new Slot(epoch, lost)',
    seedsMax: 50,
  },
  {
    name: 'if-absent-forgotten',
    what: 'A put with ifAbsent overwrites what is there.',
    file: 'storage-node/objects.ts',
    find: 'if (this.find(job, place) !== undefined)',
    replace: 'if (this.find(job, place) === null)',
    seedsMax: 10,
  },
  {
    name: 'consume-keeps',
    what: 'A consumed object stays, so that a second consumer gets it too.',
    file: 'storage-node/objects.ts',
    find: 'if (request.consume) this.remove(job, place, object)',
    replace: 'if (request.consume && object.version % 2 === 0) this.remove(job, place, object)',
    seedsMax: 10,
  },
  {
    name: 'mutation-repeated',
    what: 'A client repeats a mutation whose answer was lost, and may so undo what came between.',
    file: 'client/router.ts',
    find: 'throw call.mutates ? asOutcome(error) : error',
    replace: 'throw error',
    seedsMax: 200,
  },
  {
    name: 'expired-served',
    what: 'An object is served after its time to live.',
    file: 'storage-node/objects.ts',
    find: 'object.expiresAtMs <= wallMs',
    replace: 'object.expiresAtMs + 1_500 <= wallMs',
    seedsMax: 20,
  },
  {
    name: 'commit-without-lease',
    what: 'A large put whose lease lapsed is committed over chunks that were freed.',
    file: 'storage-node/large-objects.ts',
    find: '    this.#requireOpen(place.slot, request.version)\n    this.#objects.checkCondition',
    replace: '    this.#objects.checkCondition',
    seedsMax: 400,
  },
  {
    name: 'chunks-freed-unasked',
    what: 'A holder frees chunks without heeding what the owner of their key says.',
    file: 'storage-node/reclaim.ts',
    find: '>> (index & 7)) & 1) === 1) return',
    replace: '>> (index & 7)) & 1) === 2) return',
    seedsMax: 20,
  },
  {
    name: 'reader-without-lease',
    what: 'Chunks of a version that was consumed or overwritten are freed while it is read.',
    file: 'storage-node/objects.ts',
    find: 'place.slot.readLeases.set(version, this.#clock.monotonicMs() + READ_LEASE_MS)',
    replace: 'place.slot.readLeases.delete(version)',
    seedsMax: 400,
  },
  {
    name: 'chunks-never-freed',
    what: 'Chunks of what was overwritten or deleted stay for ever.',
    file: 'storage-node/reclaim.ts',
    find: 'if (owned !== undefined) freeChunks(job, owned, groupKey)',
    replace: 'if (owned === undefined) freeChunks(job, owned as never, groupKey)',
    seedsMax: 10,
  },
  {
    name: 'list-skips-a-slot',
    what: 'A listing passes over the first slot.',
    file: 'storage-node/listing.ts',
    find: 'if (!hasBit(request.slots, index)) continue',
    replace: 'if (!hasBit(request.slots, index) || index === 0) continue',
    seedsMax: 20,
  },
  {
    name: 'list-page-not-cut',
    what: "Pages of several nodes are merged without ending where the first one's answer ends.",
    file: 'client/listing.ts',
    find: '.filter(({ bytes }) => cut === null || Buffer.compare(bytes, cut) <= 0)',
    replace: '',
    seedsMax: 100,
  },
  {
    name: 'budget-not-released',
    what: 'The bytes of a removed object stay booked.',
    file: 'storage-node/objects.ts',
    find: '    job.charge(-objectCharge(key.length, object))\n    job.objects--',
    replace: '    job.objects--',
    seedsMax: 10,
  },
  {
    name: 'ended-job-kept',
    what: 'A node that did not hear that a job ended keeps it.',
    file: 'storage-node/node.ts',
    find: 'if (job.metadata !== from.metadata || job.toldMs >= from.sentMs || names.has(job.id)) continue',
    replace: 'if (from.sentMs >= 0) continue',
    seedsMax: 400,
  },
  {
    name: 'decision-unwritten',
    what: 'A decision of metadata is not written down, and forgotten when its process dies.',
    file: 'metadata/placements.ts',
    find: 'await this.#options.store.save(record)',
    replace: 'if (record.epoch < 2) await this.#options.store.save(record)',
    seedsMax: 200,
  },
  {
    name: 'wrong-node-told',
    what: 'Metadata tells slots to whoever is at the address of a node now.',
    file: 'metadata/messenger.ts',
    find: 'if (server !== node.id) throw',
    replace: 'if (server === null) throw',
    seedsMax: 400,
  },
  {
    name: 'slot-not-checked',
    what: 'A node serves slots that it does not own.',
    file: 'storage-node/job-space.ts',
    find: 'if (slot === undefined) throw stalePlacement(`slot ${index} of the job`)',
    replace: 'if (slot === undefined) return this.slots.find((other) => other !== undefined) as Slot',
    seedsMax: 100,
  },
  {
    name: 'bucket-not-in-name',
    what: 'Chunks of one key in two buckets are taken for the same.',
    file: 'storage-node/slot.ts',
    find: 'return `${bucket}/${version}/${key}`',
    replace: 'return version + key',
    seedsMax: 200,
  },
  {
    name: 'token-of-any-job',
    what: 'The job of a request is not that of its ticket.',
    file: 'storage-node/node.ts',
    find: 'const job = this.jobs.get(claims.job)',
    replace: 'const job = this.jobs.values().next().value',
    seedsMax: 10,
  },
  {
    name: 'frame-memory-kept',
    what: 'A stored object shares its memory with the buffer that it came in.',
    file: 'protocol/writer.ts',
    find: 'this.#start = this.#offset\n    return taken',
    replace: 'this.#start = 0\n    this.#offset = 0\n    return taken',
    seedsMax: 10,
  },
]
