import { manifestCodec } from '../model/manifest.ts'
import { placedNode, placedShare, placementCodec } from '../model/placement.ts'
import { array, bytes, flag, optional, struct, text, u8, u16, u32, u64 } from '../wire/codec.ts'
import { operation } from './operation.ts'

/** What clients and the planes ask of metadata, what metadata asks of nodes, and nodes of one another. */

const empty = struct<Record<never, never>>({})

/** The first message of a connection, which the server sends: a request with id 0 that gets no answer. */
export const challenge = operation(3, { request: struct({ protocol: u16, nonce: bytes }), reply: empty })

/** All of a hello but its proof. */
export const helloFields = struct({
  protocol: u16,
  claims: bytes,
  nonce: bytes,
  resume: array(bytes),
  mutations: u64,
})
/** All of its answer but the proof. */
export const welcomeFields = struct({ server: text, session: bytes })

/** The first message of a client: it answers the challenge. */
export const hello = operation(1, {
  /**
   * `claims` are the token without its MAC; `nonce` is the client's own. `resume` has the challenges that the client answered at
   * this address before: the last one that was confirmed, and those after it; `mutations` is how many it has sent in their session.
   * `proof` shows that the client knows the MAC.
   */
  request: struct({
    protocol: u16,
    claims: bytes,
    nonce: bytes,
    resume: array(bytes),
    mutations: u64,
    proof: bytes,
  }),
  /**
   * `server` is the id of the process behind the address. `session` names the session that the connection has: the one that the
   * client had before, or a new one. `proof` shows that the server knows the MAC, too.
   */
  reply: struct({ server: text, session: bytes, proof: bytes }),
})

/** The connection goes on with another token of the same job. `proof` shows that the client knows its MAC. */
export const renew = operation(4, { request: struct({ claims: bytes, proof: bytes }), reply: empty })

/**
 * Nobody waits any more for the answer to request `id` of this connection. If it is parked it fails with `ABORTED`, and has changed
 * nothing. `underWay`: it goes on, and is answered when it is done; else it was answered, or is with `ABORTED` right after this.
 */
export const cancel = operation(2, {
  request: struct({ id: u32 }),
  reply: struct({ underWay: flag }),
})

/**
 * Whether the other side of a connection is there. Answered at once: by a server with `receipt` where the id is 0. A server may ask it
 * as well, with id 0; so its number is none of an error's.
 */
export const ping = operation(240, { request: empty, reply: empty })

/** Said by a server, with id 0: how many frames of the connection have come so far. It gets no answer. */
export const receipt = operation(241, { request: struct({ frames: u64 }), reply: empty })

/** Asked by clients, whose token names the job, and by nodes, which name it in `job`. */
export const metadataOperations = {
  /**
   * The job's placement. Held for up to `PLACEMENT_HOLD_MS` while it is not newer than `known`, or while nobody
   * owns `slot` (65,535: any).
   */
  placement: operation(64, { request: struct({ job: text, known: u32, slot: u16 }), reply: placementCodec }),
  /** Which node has a key. `node` is empty while nobody owns its slot. */
  locate: operation(65, {
    request: struct({ bucket: text, key: bytes }),
    reply: struct({ epoch: u32, slot: u16, node: text, address: text, tier: u8 }),
  }),
  /** `request` is 16 random bytes that a repetition has as well: it gets the first answer. */
  bucketCreate: operation(66, {
    request: struct({ name: text, request: bytes }),
    reply: struct({ id: u32 }),
  }),
  /** Every node of the job drops the bucket's objects before this is answered. `request` as for `bucketCreate`. */
  bucketDelete: operation(67, { request: struct({ name: text, request: bytes }), reply: empty }),
  /** `job` as in `placement`. */
  buckets: operation(68, { request: struct({ job: text }), reply: array(struct({ id: u32, name: text })) }),
  /** Who decides for the job: this server itself, or the one that it has handed the job to. `job` as in `placement`. */
  jobServer: operation(69, { request: struct({ job: text }), reply: struct({ metadata: text }) }),
} as const

/** How often a thousand objects of a job are read, together; null where nobody knows. */
const readsPerThousand = optional(u32)

/** Asked by the controller of metadata, and `jobTake` by one metadata server of another. All are idempotent. */
export const placementOperations = {
  jobCreate: operation(80, {
    request: struct({ job: text, slots: u16, readsPerThousand, shares: array(placedShare) }),
    reply: placementCodec,
  }),
  /** New shares of a living job: slots that nobody owns go to its nodes. */
  jobShares: operation(81, {
    request: struct({ job: text, readsPerThousand, shares: array(placedShare) }),
    reply: placementCodec,
  }),
  /** Every node that can be reached has freed the job's bytes before this is answered. */
  jobEnd: operation(82, { request: struct({ job: text }), reply: empty }),
  /** The fleet saw these processes exit. */
  nodesDied: operation(83, { request: struct({ nodes: array(text) }), reply: empty }),
  /** Those that live here, and those that were handed on and have not ended. */
  jobs: operation(84, { request: empty, reply: array(struct({ job: text })) }),
  /**
   * Hand the job to another metadata server, once what is under way of it is settled. It decides for the job when this is
   * answered; a server that has handed it on to another one answers `JOB_MOVED`.
   */
  jobMove: operation(85, { request: struct({ job: text, target: placedNode }), reply: empty }),
  /**
   * Payload: a page of all that is known of a job, as metadata servers write it down, which is its record of that `term`. Page 0
   * begins anew, `last` completes it: the server that is asked decides from then on.
   */
  jobTake: operation(86, {
    request: struct({ job: text, term: u32, page: u32, last: flag }),
    reply: empty,
  }),
} as const

/** The id of the bucket that is created next, and those below it that live, as runs in order: all others were deleted. */
const livingBuckets = struct({ next: u32, living: array(struct({ first: u32, count: u32 })) })

/** Asked by nodes of metadata: `heartbeat` every `HEARTBEAT_MS`. */
export const heartbeatOperations = {
  /**
   * `jobs` are those of this server that the node knows; the reply names the ones that live. It is a lease as well:
   * the node may serve their slots for `leaseMs` from when it sent this. It is none for the `moved`: another server decides for
   * them since that `term`, which will tell the node so itself. `NODE_DEAD` means that the slots have gone to others: the node must end.
   */
  heartbeat: operation(96, {
    request: struct({ node: text, jobs: array(text) }),
    reply: struct({
      leaseMs: u32,
      jobs: array(text),
      moved: array(struct({ job: text, term: u32 })),
    }),
  }),
  /** Which buckets of a job live, as of that `revision`: for a node that did not hear of one in time. */
  jobBuckets: operation(97, {
    request: struct({ job: text }),
    reply: struct({ revision: u32, buckets: livingBuckets }),
  }),
} as const

/** How an owner came to a slot. */
export const SlotOrigin = {
  /** It begins empty. */
  fresh: 0,
  /** It had released the slot, and the handoff was taken back: it goes on with what it holds. */
  restored: 1,
  /** By handoff: it goes on with the index that the owner before it sent for this epoch. */
  handedOver: 2,
} as const

/**
 * Who says something about a job: the address of a metadata server, which of its processes, and how often the job had been
 * handed from one server to another when it came to this one.
 */
const speaker = { metadata: text, generation: u32, term: u32 }

/** Asked by metadata of nodes. All are idempotent; a node refuses an older `generation` or `term` than it knows. */
export const nodeOperations = {
  /**
   * Everything that the node owns of a job, and its `buckets`, as of the `revision`. A slot's `epoch` says which of two words about it is newer. `lost` marks slots of
   * which an owner died: a miss there is `OBJECT_LOST`. `source` is where the bytes of remote entries are; empty, they
   * are lost. `ramBytes`, `ssdBytes` and `s3Bytes` are set aside for the job on this node; up to each one's `Max` it may use what
   * nobody else reserved; it may always move `bytesPerSecond`, and more while others leave it. `readsPerThousand` is how often a
   * thousand of its objects are read, together. All as told by the highest `revision`. `metadata` is also where to ask for the job's placement.
   */
  own: operation(112, {
    request: struct({
      job: text,
      ...speaker,
      revision: u32,
      slots: u32,
      ramBytes: u64,
      ramBytesMax: u64,
      ssdBytes: u64,
      ssdBytesMax: u64,
      s3Bytes: u64,
      s3BytesMax: u64,
      bytesPerSecond: u64,
      readsPerThousand,
      buckets: livingBuckets,
      owned: array(struct({ first: u16, count: u16, epoch: u32, lost: flag, origin: u8, source: text })),
    }),
    reply: empty,
  }),
  /** The job has ended: its bytes are free when this is answered. */
  jobDrop: operation(113, { request: struct({ job: text }), reply: empty }),
  /**
   * Stop serving the slots and send their index, under `epoch`, to `target`, which has it when this is answered. Another
   * process that has taken the address of `target` gets nothing.
   */
  release: operation(114, {
    request: struct({ job: text, ...speaker, epoch: u32, slots: array(u16), target: placedNode }),
    reply: empty,
  }),
  /** Whether the slots that were handed over under `epoch` have all their bytes here. Held for up to `SETTLE_HOLD_MS`. */
  settled: operation(115, {
    request: struct({ job: text, epoch: u32, slots: array(u16) }),
    reply: struct({ settled: flag }),
  }),
  /** Free what is left of slots that were released, or offered, under `epoch`. */
  drop: operation(116, {
    request: struct({ job: text, ...speaker, epoch: u32, slots: array(u16) }),
    reply: empty,
  }),
} as const

const place = { bucket: u32, key: bytes }

/** An entry of a slot's index; `manifest` is empty where the object is a value. Times are what is left of them. */
const indexEntry = struct({
  ...place,
  version: u64,
  /** The version that the last put made; appends since then have made `version` of it. */
  base: u64,
  bytes: u64,
  /** Where they lie, an index into `tiers`. */
  tier: u8,
  ttlMs: u64,
  manifest: manifestCodec,
  metadata: array(struct({ name: text, value: text })),
  checksum: optional(u32),
})

/** Something of a key that lies in the kept store, or may; `state` as the storage node numbers it. */
const keptEntry = struct({
  ...place,
  /** Of its bucket there. */
  name: text,
  /** Of its put, as the store has it. */
  version: u64,
  state: u8,
})

/** In a pull: the object itself, not one of its chunks. */
export const NO_CHUNK = 0xffff_ffff

/** Asked by nodes of one another. */
export const peerOperations = {
  /**
   * Which of these versions of large objects are still wanted: committed, being put, or being read. `alive` has
   * a bit for each, as in `list`. The key's owner answers; who does not own a key's slot says `STALE_PLACEMENT`.
   */
  versionsAlive: operation(120, {
    request: struct({ job: text, versions: array(struct({ ...place, version: u64 })) }),
    reply: struct({ alive: bytes }),
  }),
  /**
   * A page of the index of a slot that is being handed over: objects, chunks that lie in the slot, large puts under
   * way, versions under reading, and keys whose bytes were lost. Page 0 begins anew; `last` completes it.
   */
  slotIndex: operation(121, {
    request: struct({
      job: text,
      slot: u16,
      epoch: u32,
      page: u32,
      last: flag,
      entries: array(indexEntry),
      chunks: array(
        struct({
          ...place,
          version: u64,
          index: u32,
          bytes: u32,
          tier: u8,
          checksum: optional(u32),
          lost: flag,
        }),
      ),
      openPuts: array(struct({ version: u64, leftMs: u32 })),
      readLeases: array(struct({ version: u64, lease: u64, leftMs: u32 })),
      lostKeys: array(struct(place)),
      kept: array(keptEntry),
    }),
    reply: empty,
  }),
  /**
   * Bytes of entries that were handed over: of each item what lies from `offset`, as far as the reply has room.
   * `bytes` has a length for each item, in the order of the payload; `MISSING` where it is not there.
   */
  pull: operation(122, {
    request: struct({
      job: text,
      slot: u16,
      epoch: u32,
      items: array(struct({ ...place, version: u64, chunk: u32, offset: u64 })),
    }),
    reply: struct({ bytes: array(u32) }),
  }),
  /** Reply's payload: a chunk of a large object that the one who asks is about to commit. */
  chunk: operation(123, {
    request: struct({ job: text, ...place, version: u64, index: u32 }),
    reply: empty,
  }),
  /**
   * Reply's payload: the same of an object that outlives its job, from the kept store, for the chunk's node, which has it not. The
   * key's owner answers; `NOT_FOUND` is that this version is not kept.
   */
  keptChunk: operation(124, {
    request: struct({ job: text, ...place, version: u64, index: u32 }),
    reply: empty,
  }),
} as const

/** In the reply to a pull: there is no such item. */
export const MISSING = 0xffff_ffff
