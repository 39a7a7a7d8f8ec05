import { manifestCodec } from '../model/manifest.ts'
import { array, byHand, bytes, flag, optional, struct, text, u8, u16, u32, u64 } from '../wire/codec.ts'
import { byteColumn, u32Column, u64Column } from '../wire/columns.ts'
import { operation, type ReplyOf, type RequestOf } from './operation.ts'

/**
 * Requests of functions to storage nodes. `epoch` is that of the placement by which the client chose the
 * node; `bucket` is a bucket's id; `key` is UTF-8. A payload, if any, is the object's bytes.
 */

/**
 * `always` overwrites; `absent` fails with `KEY_EXISTS` if the key exists, `version` with `VERSION_MISMATCH`
 * unless it is at `ifVersion`.
 */
export const PutCondition = { always: 0, absent: 1, version: 2 } as const

/** A `value` comes with its bytes; a `manifest` lists the chunks that hold the bytes. */
export const ObjectKind = { value: 0, manifest: 1 } as const

/** The tiers of a node; their index is the number on the wire. */
export const tiers = ['ram', 'ssd', 's3'] as const
export type Tier = (typeof tiers)[number]

/** In a `get`: any version of the key. */
export const ANY_VERSION = 0

const metadata = array(struct({ name: text, value: text }))
const address = { epoch: u32, bucket: u32, key: bytes }
/**
 * Identifies a mutation in its session, so that a repetition is answered instead of executed. A lane has one
 * mutation in progress at a time; `sequence` rises with each, from 1. A higher one acknowledges the answers
 * before it.
 */
const repeatable = { lane: u16, sequence: u64 }
/** CRC-32, as in zlib, of the bytes beside it; null if their writer computed none. */
const checksum = optional(u32)
const condition = { condition: u8, ifVersion: u64 }
const version = byHand(struct({ version: u64 }), {
  write: (writer, reply) => void writer.u64(reply.version),
  read: (reader) => ({ version: reader.u64() }),
})
const empty = struct({})

export const dataOperations = {
  /**
   * Payload: the object. `ttlSeconds` 0 means as long as the job. `keptBucket` is the bucket's name if the
   * object is persistent, else empty; a persistent put is answered once the object is in the persistent
   * store.
   */
  put: operation(16, {
    request: byHand(
      struct({
        ...address,
        ...repeatable,
        ...condition,
        ttlSeconds: u32,
        metadata,
        checksum,
        keptBucket: text,
      }),
      {
        write: (writer, put) => {
          writer.u32(put.epoch).u32(put.bucket).u16(put.key.length).raw(put.key)
          writer.u16(put.lane).u64(put.sequence).u8(put.condition).u64(put.ifVersion).u32(put.ttlSeconds)
          metadata.write(writer, put.metadata)
          checksum.write(writer, put.checksum)
          text.write(writer, put.keptBucket)
        },
        read: (reader) => ({
          epoch: reader.u32(),
          bucket: reader.u32(),
          key: reader.raw(reader.u16()),
          lane: reader.u16(),
          sequence: reader.u64(),
          condition: reader.u8(),
          ifVersion: reader.u64(),
          ttlSeconds: reader.u32(),
          metadata: metadata.read(reader),
          checksum: checksum.read(reader),
          keptBucket: text.read(reader),
        }),
      },
    ),
    reply: version,
  }),
  /**
   * Reply's payload, if `kind` is `value`: the object from `offset`, up to 1 MiB and, unless that is 0, up to
   * `length`; `bytes` and `checksum` are those of the whole. `RANGE_NOT_SATISFIABLE` if it ends before
   * `offset`. `waitMs` parks the request until the key is put. `version` requires that version or one that
   * appends have made of it, else `VERSION_MISMATCH`. `consume` removes the object in the same step if the
   * reply has all of it; only then do `lane` and `sequence` count. `lease` is the reader's, of a manifest;
   * else 0.
   */
  get: operation(17, {
    request: byHand(
      struct({
        ...address,
        ...repeatable,
        consume: flag,
        waitMs: u32,
        version: u64,
        offset: u64,
        length: u32,
      }),
      {
        write: (writer, get) => {
          writer.u32(get.epoch).u32(get.bucket).u16(get.key.length).raw(get.key)
          writer.u16(get.lane).u64(get.sequence)
          flag.write(writer, get.consume)
          writer.u32(get.waitMs).u64(get.version).u64(get.offset).u32(get.length)
        },
        read: (reader) => ({
          epoch: reader.u32(),
          bucket: reader.u32(),
          key: reader.raw(reader.u16()),
          lane: reader.u16(),
          sequence: reader.u64(),
          consume: flag.read(reader),
          waitMs: reader.u32(),
          version: reader.u64(),
          offset: reader.u64(),
          length: reader.u32(),
        }),
      },
    ),
    reply: byHand(
      struct({
        version: u64,
        kind: u8,
        bytes: u64,
        checksum,
        consumed: flag,
        manifest: manifestCodec,
        lease: u64,
      }),
      {
        write: (writer, got) => {
          writer.u64(got.version).u8(got.kind).u64(got.bytes)
          checksum.write(writer, got.checksum)
          flag.write(writer, got.consumed)
          manifestCodec.write(writer, got.manifest)
          writer.u64(got.lease)
        },
        read: (reader) => ({
          version: reader.u64(),
          kind: reader.u8(),
          bytes: reader.u64(),
          checksum: checksum.read(reader),
          consumed: flag.read(reader),
          manifest: manifestCodec.read(reader),
          lease: reader.u64(),
        }),
      },
    ),
  }),
  /** `expiresAtMs` counts from the Unix epoch; 0 if the object does not expire. */
  stat: operation(18, {
    request: struct(address),
    reply: struct({ bytes: u64, version: u64, tier: u8, expiresAtMs: u64, metadata, persist: flag }),
  }),
  delete: operation(19, { request: struct({ ...address, ...repeatable }), reply: struct({ existed: flag }) }),
  /**
   * One page of the keys above `after`, in byte order, in the slots of the bitmap (bit i of byte i / 8 is
   * slot i). The node must own all of them. `complete`: nothing follows the last entry. `listing` is a number
   * that the client gives all pages of one listing, which begins with an empty `after`; 0 if it needs one page
   * only.
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
      listing: u64,
    }),
    reply: struct({ complete: flag, entries: array(struct({ key: text, bytes: u64 })) }),
  }),
  /** Opens a large put at the key's owner, which issues the version and leases it for `leaseMs`. */
  putBegin: operation(21, {
    request: struct({ ...address, ...condition }),
    reply: struct({ version: u64, leaseMs: u32 }),
  }),
  /** Renews the lease of a large put that is still sending. */
  putRenew: operation(22, { request: struct({ ...address, version: u64 }), reply: empty }),
  /** Makes the object visible atomically. */
  putCommit: operation(23, {
    request: struct({
      ...address,
      ...repeatable,
      ...condition,
      version: u64,
      ttlSeconds: u32,
      manifest: manifestCodec,
      metadata,
      keptBucket: text,
    }),
    reply: version,
  }),
  /** Aborts the put; its chunks are reclaimed. */
  putAbort: operation(24, { request: struct({ ...address, version: u64 }), reply: empty }),
  /** Payload: chunk `index` of the version. Sent to the slot of `hashChunk`. */
  chunkPut: operation(25, {
    request: struct({ ...address, version: u64, index: u32, checksum }),
    reply: empty,
  }),
  /**
   * Reply's payload: the chunk from `offset`, up to `length` unless that is 0; `checksum` is that of the
   * whole chunk.
   */
  chunkGet: operation(26, {
    request: struct({ ...address, version: u64, index: u32, offset: u32, length: u32 }),
    reply: struct({ checksum }),
  }),
  /**
   * Payload: bytes to append; a missing key begins empty. `bytes` is the new length. The node verifies the
   * payload against `checksum`, because it combines it into the checksum of the whole.
   */
  append: operation(27, {
    request: struct({ ...address, ...repeatable, checksum }),
    reply: struct({ bytes: u64, version: u64 }),
  }),
  /** `results` has a byte per key, see `DeleteResult`. */
  deleteMany: operation(28, {
    request: struct({ epoch: u32, bucket: u32, ...repeatable, keys: byteColumn }),
    reply: struct({ results: bytes }),
  }),
  /** Acknowledges the answers of these lanes up to `sequence`; sent if no other mutation does so soon. */
  settle: operation(29, { request: struct({ lanes: array(struct(repeatable)) }), reply: empty }),
  /**
   * Reply's payload: the existing values in sequence. `lengths` has a number per key: its bytes in the
   * payload, or a `GetManyResult`. So has `checksums` if requested; else it is empty.
   */
  getMany: operation(30, {
    request: struct({ epoch: u32, bucket: u32, checksums: flag, keys: byteColumn }),
    reply: struct({ lengths: u32Column, checksums: array(checksum) }),
  }),
  /** Answered when all keys exist, or after `waitMs`. The node must own all their slots. */
  waitMany: operation(31, {
    request: struct({ epoch: u32, bucket: u32, waitMs: u32, keys: array(bytes) }),
    reply: empty,
  }),
  /**
   * Payload: the objects in sequence, with `lengths`. Each other list has an element per key, or is empty,
   * which means 0, empty or null for all. `results` has a byte per key: 0 if stored, else the error's number.
   */
  putMany: operation(32, {
    request: struct({
      epoch: u32,
      bucket: u32,
      ...repeatable,
      keys: byteColumn,
      lengths: u32Column,
      conditions: array(u8),
      ifVersions: array(u64),
      ttlSeconds: array(u32),
      metadata: array(metadata),
      checksums: array(checksum),
    }),
    reply: struct({ results: bytes, versions: u64Column }),
  }),
  /**
   * Renews the read lease of this version, also after the object was replaced; `NOT_FOUND` once it has
   * lapsed.
   */
  readRenew: operation(33, { request: struct({ ...address, version: u64, lease: u64 }), reply: empty }),
  /** Ends the read lease: chunks of a replaced version without other readers are freed. */
  readEnd: operation(34, { request: struct({ ...address, version: u64, lease: u64 }), reply: empty }),
  /**
   * `stat` of many keys. Each list of the reply has an element per key: a `StatResult`, and for a key that is
   * found what `stat` tells of it, else 0. Reply's payload: the metadata of the found objects in sequence,
   * each of `metadataBytes`: names and values in turn, encoded as `text`.
   */
  statMany: operation(35, {
    request: struct({ epoch: u32, bucket: u32, keys: byteColumn }),
    reply: struct({
      results: bytes,
      bytes: u64Column,
      versions: u64Column,
      tiers: bytes,
      expiresAtMs: u64Column,
      persist: bytes,
      metadataBytes: u32Column,
    }),
  }),
} as const

/**
 * In place of a length: no object; no object, but it may have been lost; the node does not own the key's
 * slot; an object that needs a request of its own.
 */
export const GetManyResult = {
  absent: 0xffff_ffff,
  lost: 0xffff_fffe,
  stale: 0xffff_fffd,
  alone: 0xffff_fffc,
} as const

/** `stale`: the node does not own the key's slot, and the key is unchanged. */
export const DeleteResult = { absent: 0, deleted: 1, stale: 2 } as const

/**
 * Of a key in `statMany`. `lost`: no object, but it may have been lost; `stale`: the node does not own the key's
 * slot; `later`: the answer has no room for the metadata, so the key has to be asked for again.
 */
export const StatResult = { absent: 0, found: 1, lost: 2, stale: 3, later: 4 } as const

/** The fields of each request and reply. */
export type DataRequests = { [Name in keyof typeof dataOperations]: RequestOf<(typeof dataOperations)[Name]> }
export type DataReplies = { [Name in keyof typeof dataOperations]: ReplyOf<(typeof dataOperations)[Name]> }
