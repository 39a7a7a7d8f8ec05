import { manifestCodec } from '../model/manifest.ts'
import { placedNode, placedShare, placementCodec } from '../model/placement.ts'
import { array, bytes, flag, optional, struct, text, u8, u16, u32, u64 } from '../wire/codec.ts'
import { operation } from './operation.ts'

/** Operations of the planes among one another. The SDK does not load them. */

const empty = struct<Record<never, never>>({})

/** Reads of a thousand objects of a job; null if unknown. */
const readsPerThousand = optional(u32)

/** Sent by the controller to metadata; `jobTake` between metadata servers. All are idempotent. */
export const placementOperations = {
  jobCreate: operation(80, {
    request: struct({ job: text, slots: u16, readsPerThousand, shares: array(placedShare) }),
    reply: placementCodec,
  }),
  /** New shares of a running job: slots without an owner go to its nodes. */
  jobShares: operation(81, {
    request: struct({ job: text, readsPerThousand, shares: array(placedShare) }),
    reply: placementCodec,
  }),
  /** Answered after every reachable node has freed the job's bytes. */
  jobEnd: operation(82, { request: struct({ job: text }), reply: empty }),
  /** The fleet has seen these processes exit. */
  nodesDied: operation(83, { request: struct({ nodes: array(text) }), reply: empty }),
  /** Running jobs of this server, and transferred ones that have not ended. */
  jobs: operation(84, { request: empty, reply: array(struct({ job: text })) }),
  /**
   * Transfers the job to another metadata server once its running steps have settled. That server decides for
   * the job when this is answered. A server that has transferred it elsewhere answers `JOB_MOVED`.
   */
  jobMove: operation(85, { request: struct({ job: text, target: placedNode }), reply: empty }),
  /**
   * Payload: a page of the job's record, as metadata stores it, at that `term`. Page 0 starts again; `last`
   * completes it, and the receiver decides for the job from then on.
   */
  jobTake: operation(86, {
    request: struct({ job: text, term: u32, page: u32, last: flag }),
    reply: empty,
  }),
} as const

/** The next bucket id, and the existing ids below it as ordered runs; all others were deleted. */
const livingBuckets = struct({ next: u32, living: array(struct({ first: u32, count: u32 })) })

/** Sent by nodes to metadata: `heartbeat` every `HEARTBEAT_MS`. */
export const heartbeatOperations = {
  /**
   * `jobs` are the known jobs of this server; the reply lists the running ones. It is also a lease: the node
   * may serve their slots for `leaseMs` after sending this, except for `moved` jobs, which another server
   * decides for since that `term` and announces itself. `NODE_DEAD`: the slots were reassigned, and the node
   * must end.
   */
  heartbeat: operation(96, {
    request: struct({ node: text, jobs: array(text) }),
    reply: struct({
      leaseMs: u32,
      jobs: array(text),
      moved: array(struct({ job: text, term: u32 })),
    }),
  }),
  /** The existing buckets of a job at that `revision`, for a node that missed one. */
  jobBuckets: operation(97, {
    request: struct({ job: text }),
    reply: struct({ revision: u32, buckets: livingBuckets }),
  }),
} as const

/** How an owner came to a slot. */
export const SlotOrigin = {
  /** The slot begins empty. */
  fresh: 0,
  /** Its release was undone: the slot continues with its content. */
  restored: 1,
  /** By handoff: the slot begins with the index that the previous owner sent for this epoch. */
  handedOver: 2,
} as const

/**
 * The sender of an ownership message: address and generation of a metadata server, and how many times the job
 * had been transferred when it arrived there.
 */
const speaker = { metadata: text, generation: u32, term: u32 }

/**
 * Sent by metadata to nodes. All are idempotent; a node refuses a lower `generation` or `term` than it knows.
 */
export const nodeOperations = {
  /**
   * Everything that the node owns of a job, and its `buckets`, at the `revision`. A slot's `epoch` orders
   * messages about it. `lost` marks slots of which an owner died: a miss there is `OBJECT_LOST`. `source` has
   * the bytes of remote entries; if empty, they are lost. `ramBytes`, `ssdBytes` and `s3Bytes` are reserved
   * for the job on this node; up to each one's `Max` it may use what is unreserved. It may always move
   * `bytesPerSecond`, and more if others leave capacity. `readsPerThousand` is the expected reads of a
   * thousand of its objects. The highest `revision` wins. `metadata` also serves the job's placement.
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
   * Stop serving the slots and send their index, under `epoch`, to `target`, which has it when this is
   * answered. Another process at the address of `target` gets nothing.
   */
  release: operation(114, {
    request: struct({ job: text, ...speaker, epoch: u32, slots: array(u16), target: placedNode }),
    reply: empty,
  }),
  /** Whether the slots handed over under `epoch` have all their bytes. Held for up to `SETTLE_HOLD_MS`. */
  settled: operation(115, {
    request: struct({ job: text, epoch: u32, slots: array(u16) }),
    reply: struct({ settled: flag }),
  }),
  /** Free what is left of slots that were released, or offered, under `epoch`. */
  drop: operation(116, {
    request: struct({ job: text, ...speaker, epoch: u32, slots: array(u16) }),
    reply: empty,
  }),
  /**
   * Asks for the vote of the node: it follows the process with the highest `generation` of the metadata server of that id that has asked, which
   * is the reply.
   */
  vote: operation(117, {
    request: struct({ server: text, generation: u32 }),
    reply: struct({ generation: u32 }),
  }),
} as const

const place = { bucket: u32, key: bytes }

/** An entry of a slot's index; `manifest` is empty for a value. Times are remaining times. */
const indexEntry = struct({
  ...place,
  version: u64,
  /** The version of the last put; appends since then have raised `version`. */
  base: u64,
  bytes: u64,
  /** The tier of its bytes, an index into `tiers`. */
  tier: u8,
  ttlMs: u64,
  manifest: manifestCodec,
  metadata: array(struct({ name: text, value: text })),
  checksum: optional(u32),
})

/**
 * A key that has, or may have, an object in the persistent store; `state` as numbered by the storage node.
 */
const keptEntry = struct({
  ...place,
  /** The bucket's name in the store. */
  name: text,
  /** The version in the store. */
  version: u64,
  state: u8,
})

/** In a pull: the object itself instead of a chunk. */
export const NO_CHUNK = 0xffff_ffff

/** Sent by nodes to nodes. */
export const peerOperations = {
  /**
   * Which of these versions of large objects are still needed: committed, being put, or being read. `alive`
   * has a bit for each, as in `list`. Asked of the key's owner; another node answers `STALE_PLACEMENT`.
   */
  versionsAlive: operation(120, {
    request: struct({ job: text, versions: array(struct({ ...place, version: u64 })) }),
    reply: struct({ alive: bytes }),
  }),
  /**
   * A page of the index of a slot that is being handed over: objects, chunks in the slot, open large puts,
   * read leases, and lost keys. Page 0 starts again; `last` completes it.
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
   * Bytes of entries that were handed over: of each item from `offset`, as far as the reply has room. `bytes`
   * has a length per item, in payload order; `MISSING` if it is absent.
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
  /** Reply's payload: a chunk of a large object that the sender is about to commit. */
  chunk: operation(123, {
    request: struct({ job: text, ...place, version: u64, index: u32 }),
    reply: empty,
  }),
  /**
   * Reply's payload: a chunk of a persistent object from the persistent store, for the chunk's node, which
   * lacks it. Asked of the key's owner; `NOT_FOUND` if this version is not persisted.
   */
  keptChunk: operation(124, {
    request: struct({ job: text, ...place, version: u64, index: u32 }),
    reply: empty,
  }),
} as const

/** In the reply to a pull: the item is absent. */
export const MISSING = 0xffff_ffff
