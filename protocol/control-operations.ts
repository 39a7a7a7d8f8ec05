import { array, bytes, flag, struct, text, u8, u16, u32, u64 } from './codec.ts'
import { operation } from './operation.ts'
import { placementCodec } from './placement.ts'

/** What clients and the planes ask of metadata, what metadata asks of nodes, and nodes of one another. */

const empty = struct<Record<never, never>>({})

/** The first message of every connection. */
export const hello = operation(1, {
  request: struct({ protocol: u16, token: bytes }),
  /** `server` is the id of the process behind the address. */
  reply: struct({ server: text }),
})

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
  bucketCreate: operation(66, { request: struct({ name: text }), reply: struct({ id: u32 }) }),
  /** Every node of the job drops the bucket's objects before this is answered. */
  bucketDelete: operation(67, { request: struct({ name: text }), reply: empty }),
  buckets: operation(68, { request: empty, reply: array(struct({ id: u32, name: text })) }),
} as const

/** A node's part of a job: which share of the slots it should get and what was reserved for the job on it. */
const share = struct({ node: text, address: text, weight: u32, ramBytes: u64 })

/** Asked by the controller of metadata. All are idempotent. */
export const placementOperations = {
  jobCreate: operation(80, {
    request: struct({ job: text, slots: u16, shares: array(share) }),
    reply: placementCodec,
  }),
  /** New shares of a living job: slots that nobody owns go to its nodes. */
  jobShares: operation(81, { request: struct({ job: text, shares: array(share) }), reply: placementCodec }),
  /** Every node that can be reached has freed the job's bytes before this is answered. */
  jobEnd: operation(82, { request: struct({ job: text }), reply: empty }),
  /** The fleet saw these processes exit. */
  nodesDied: operation(83, { request: struct({ nodes: array(text) }), reply: empty }),
  jobs: operation(84, { request: empty, reply: array(struct({ job: text })) }),
} as const

/** Asked by nodes of metadata, every `HEARTBEAT_MS`. */
export const heartbeatOperations = {
  /** `jobs` are those that live and have slots on this node; what else it holds of this server's, it drops. */
  heartbeat: operation(96, {
    request: struct({ node: text }),
    reply: struct({ jobs: array(text) }),
  }),
} as const

/** Asked by metadata of nodes. All are idempotent; a node refuses an older `generation` than it knows. */
export const nodeOperations = {
  /**
   * The node owns these slots from the slot's epoch on. `lost` marks slots whose last owner died: a miss there
   * is `OBJECT_LOST`. `metadata` is where to ask for the job's placement. `ramBytes` is set aside for the job on
   * this node; up to `ramBytesMax` it may use what nobody else reserved.
   */
  own: operation(112, {
    request: struct({
      job: text,
      generation: u32,
      metadata: text,
      slots: u32,
      ramBytes: u64,
      ramBytesMax: u64,
      droppedBuckets: array(u32),
      owned: array(struct({ first: u16, count: u16, epoch: u32, lost: flag })),
    }),
    reply: empty,
  }),
  /** The job has ended: its bytes are free when this is answered. */
  jobDrop: operation(113, { request: struct({ job: text }), reply: empty }),
} as const

/** Asked by nodes of one another. */
export const peerOperations = {
  /**
   * Which of these versions of large objects are still wanted: committed, being put, or being read. `alive` has
   * a bit for each, as in `list`. The key's owner answers; who does not own a key's slot says `STALE_PLACEMENT`.
   */
  versionsAlive: operation(120, {
    request: struct({ job: text, versions: array(struct({ bucket: u32, key: bytes, version: u64 })) }),
    reply: struct({ alive: bytes }),
  }),
} as const
