import { manifestCodec } from '../model/manifest.ts'
import {
  array,
  byHand,
  bytes,
  bytesInPlace,
  flag,
  optional,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
} from '../wire/codec.ts'
import { operation, type ReplyOf, type RequestOf } from './operation.ts'

/**
 * What functions ask of storage nodes. `epoch` is that of the placement by which the client chose the node;
 * `bucket` is a bucket's id; `key` is UTF-8. A payload, where there is one, is the object's bytes.
 */

/** `always` overwrites; `absent` fails with `KEY_EXISTS` if the key is there, `version` with `VERSION_MISMATCH` if it is not at `ifVersion`. */
export const PutCondition = { always: 0, absent: 1, version: 2 } as const

/** A `value` comes with its bytes; a `manifest` says in which chunks the bytes lie. */
export const ObjectKind = { value: 0, manifest: 1 } as const

/** Where a node keeps an object's bytes, as a number on the wire. */
export const tiers = ['ram', 'ssd', 's3'] as const
export type Tier = (typeof tiers)[number]

/** In a `get`: any version of the key. */
export const ANY_VERSION = 0

const metadata = array(struct({ name: text, value: text }))
const address = { epoch: u32, bucket: u32, key: bytes }
/**
 * Names a mutation in its session, so that a repetition is answered and not carried out again. A lane has one mutation under
 * way at a time, and `sequence` rises with each, from 1: a higher one says that the client needs no answer of those before it.
 */
const repeatable = { lane: u16, sequence: u64 }
/** CRC-32, as of zlib, of the bytes that it stands beside; null where their writer made none. */
const checksum = optional(u32)
const condition = { condition: u8, ifVersion: u64 }
const version = byHand(struct({ version: u64 }), {
  write: (writer, reply) => void writer.u64(reply.version),
  read: (reader) => ({ version: reader.u64() }),
})
const empty = struct({})

export const dataOperations = {
  /**
   * Payload: the object. `ttlSeconds` 0 means as long as the job. `keptBucket` is the bucket's name where the object is to
   * outlive its job, else empty: then the answer comes once the object lies in the kept store.
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
   * Reply's payload, where `kind` is `value`: the object from `offset`, up to 1 MiB and, unless that is 0, up to `length`;
   * `bytes` and `checksum` are those of the whole. `RANGE_NOT_SATISFIABLE` if it ends before `offset`.
   * `waitMs` parks the request until the key is put. `version` asks for that version or one that appends have made of
   * it, else `VERSION_MISMATCH`. `consume` removes the object in the same step, if the reply has all of it;
   * only then do `lane` and `sequence` count. `lease` is the reader's, of a manifest; else 0.
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
  /** `expiresAtMs` counts from the Unix epoch, 0 where there is none. */
  stat: operation(18, {
    request: struct(address),
    reply: struct({ bytes: u64, version: u64, tier: u8, expiresAtMs: u64, metadata, persist: flag }),
  }),
  delete: operation(19, { request: struct({ ...address, ...repeatable }), reply: struct({ existed: flag }) }),
  /**
   * One page of the keys above `after`, in byte order, in the slots of the bitmap (bit i of byte i / 8 is slot
   * i). The node must own all of them. `complete` says that nothing follows the last entry. `listing` is a number that the
   * client gives the pages of one listing, which begins with an empty `after`; 0 says nothing.
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
  /** Opens a large put at the key's owner, which gives the version and leases it for `leaseMs`. */
  putBegin: operation(21, {
    request: struct({ ...address, ...condition }),
    reply: struct({ version: u64, leaseMs: u32 }),
  }),
  /** Renews the lease of a large put that is still sending. */
  putRenew: operation(22, { request: struct({ ...address, version: u64 }), reply: empty }),
  /** Makes the object visible, all at once. */
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
  /** Gives the version up; its chunks are reclaimed. */
  putAbort: operation(24, { request: struct({ ...address, version: u64 }), reply: empty }),
  /** Payload: chunk `index` of the version. Goes to the slot of `hashChunk`. */
  chunkPut: operation(25, {
    request: struct({ ...address, version: u64, index: u32, checksum }),
    reply: empty,
  }),
  /** Reply's payload: the chunk from `offset`, up to `length` unless that is 0; `checksum` is that of the whole chunk. */
  chunkGet: operation(26, {
    request: struct({ ...address, version: u64, index: u32, offset: u32, length: u32 }),
    reply: struct({ checksum }),
  }),
  /**
   * Payload: what follows the object's last byte; a key that is not there begins empty. `bytes` is the new length. The
   * node holds the payload against `checksum`, for it makes the checksum of the whole from both.
   */
  append: operation(27, {
    request: struct({ ...address, ...repeatable, checksum }),
    reply: struct({ bytes: u64, version: u64 }),
  }),
  /** `results` has a byte for each key, one of `DeleteResult`. */
  deleteMany: operation(28, {
    request: struct({ epoch: u32, bucket: u32, ...repeatable, keys: array(bytes) }),
    reply: struct({ results: bytes }),
  }),
  /** The client needs no answer of these lanes up to `sequence`; sent where no other mutation says so soon. */
  settle: operation(29, { request: struct({ lanes: array(struct(repeatable)) }), reply: empty }),
  /**
   * Reply's payload: the values that are there, one behind the other. `lengths` has a number for each key: of
   * its bytes in the payload, or one of `GetManyResult`; so has `checksums` if they were asked for, else it is empty.
   */
  getMany: operation(30, {
    request: struct({ epoch: u32, bucket: u32, checksums: flag, keys: array(bytesInPlace) }),
    reply: struct({ lengths: array(u32), checksums: array(checksum) }),
  }),
  /** Answered when all keys are there, or after `waitMs`. The node must own all their slots. */
  waitMany: operation(31, {
    request: struct({ epoch: u32, bucket: u32, waitMs: u32, keys: array(bytes) }),
    reply: empty,
  }),
  /**
   * Payload: the objects, one behind the other, `lengths` long. Each of the other lists has an element for each key, or
   * none: then it is 0, empty or null for all. `results` has a byte for each key: 0 where it was stored, else the error's number.
   */
  putMany: operation(32, {
    request: struct({
      epoch: u32,
      bucket: u32,
      ...repeatable,
      keys: array(bytesInPlace),
      lengths: array(u32),
      conditions: array(u8),
      ifVersions: array(u64),
      ttlSeconds: array(u32),
      metadata: array(metadata),
      checksums: array(checksum),
    }),
    reply: struct({ results: bytes, versions: array(u64) }),
  }),
  /** Renews the lease of a reader of this version's chunks, also where the object was replaced; `NOT_FOUND` once it has lapsed. */
  readRenew: operation(33, { request: struct({ ...address, version: u64, lease: u64 }), reply: empty }),
  /** The reader is done: chunks of a version that was replaced and that nobody else reads are freed. */
  readEnd: operation(34, { request: struct({ ...address, version: u64, lease: u64 }), reply: empty }),
} as const

/**
 * In the place of a length: no object; none, but the key may have been lost; the node does not own the key's slot;
 * there is one, which has to be asked for alone.
 */
export const GetManyResult = {
  absent: 0xffff_ffff,
  lost: 0xffff_fffe,
  stale: 0xffff_fffd,
  alone: 0xffff_fffc,
} as const

/** `stale`: the node does not own that key's slot, and the key is as it was. */
export const DeleteResult = { absent: 0, deleted: 1, stale: 2 } as const

/** The fields of each request, and of each reply. */
export type DataRequests = { [Name in keyof typeof dataOperations]: RequestOf<(typeof dataOperations)[Name]> }
export type DataReplies = { [Name in keyof typeof dataOperations]: ReplyOf<(typeof dataOperations)[Name]> }
