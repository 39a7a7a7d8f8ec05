import { array, bytes, flag, struct, text, u8, u16, u32, u64 } from './codec.ts'
import { manifestCodec } from './manifest.ts'
import { operation } from './operation.ts'

/**
 * What functions ask of storage nodes. `epoch` is that of the placement by which the client chose the node;
 * `bucket` is a bucket's id; `key` is UTF-8. A payload, where there is one, is the object's bytes.
 */

/** `always` overwrites; `absent` fails with `KEY_EXISTS` if the key is there. */
export const PutCondition = { always: 0, absent: 1 } as const

/** A `value` comes with its bytes; a `manifest` says in which chunks the bytes lie. */
export const ObjectKind = { value: 0, manifest: 1 } as const

/** Where a node keeps an object's bytes, as a number on the wire. */
export const tiers = ['ram', 'ssd', 's3'] as const
export type Tier = (typeof tiers)[number]

const metadata = array(struct({ name: text, value: text }))
const address = { epoch: u32, bucket: u32, key: bytes }
const version = struct({ version: u64 })
const empty = struct<Record<never, never>>({})

export const dataOperations = {
  /** Payload: the object. `ttlSeconds` 0 means as long as the job. */
  put: operation(16, {
    request: struct({ ...address, condition: u8, ttlSeconds: u32, metadata }),
    reply: version,
  }),
  /** Reply's payload: the object, where `kind` is `value`. `consume` removes it in the same step. */
  get: operation(17, {
    request: struct({ ...address, consume: flag }),
    reply: struct({ version: u64, kind: u8, manifest: manifestCodec }),
  }),
  /** `expiresAtMs` counts from the Unix epoch, 0 where there is none. */
  stat: operation(18, {
    request: struct(address),
    reply: struct({ bytes: u64, version: u64, tier: u8, expiresAtMs: u64, metadata }),
  }),
  delete: operation(19, { request: struct(address), reply: struct({ existed: flag }) }),
  /**
   * One page of the keys above `after`, in byte order, in the slots of the bitmap (bit i of byte i / 8 is slot
   * i). The node must own all of them. `complete` says that nothing follows the last entry.
   */
  list: operation(20, {
    request: struct({
      epoch: u32,
      bucket: u32,
      slots: bytes,
      prefix: bytes,
      after: bytes,
      limit: u16,
      acceptHoles: flag,
    }),
    reply: struct({ complete: flag, entries: array(struct({ key: text, bytes: u64 })) }),
  }),
  /** Opens a large put at the key's owner, which gives the version and leases it for `leaseMs`. */
  putBegin: operation(21, {
    request: struct({ ...address, condition: u8 }),
    reply: struct({ version: u64, leaseMs: u32 }),
  }),
  /** Renews the lease of a large put that is still sending. */
  putRenew: operation(22, { request: struct({ ...address, version: u64 }), reply: empty }),
  /** Makes the object visible, all at once. */
  putCommit: operation(23, {
    request: struct({
      ...address,
      version: u64,
      condition: u8,
      ttlSeconds: u32,
      manifest: manifestCodec,
      metadata,
    }),
    reply: version,
  }),
  /** Gives the version up; its chunks are reclaimed. */
  putAbort: operation(24, { request: struct({ ...address, version: u64 }), reply: empty }),
  /** Payload: chunk `index` of the version. Goes to the slot of `hashChunk`. */
  chunkPut: operation(25, { request: struct({ ...address, version: u64, index: u32 }), reply: empty }),
  /** Reply's payload: the chunk. */
  chunkGet: operation(26, { request: struct({ ...address, version: u64, index: u32 }), reply: empty }),
} as const
