import { ENTRY_OVERHEAD_BYTES, PAYLOAD_COPIED_BYTES_MAX } from '../../protocol/limits.ts'
import { copyBytes } from '../../protocol/wire/copy-bytes.ts'
import { type Arena, GRANULE_BYTES } from './arena.ts'
import { BLOCK_BYTES } from './slab.ts'
import { tableHash } from './table-hash.ts'

/**
 * An object in the arena is a record: six words, then what not every object has, and key, metadata and content,
 * rounded up to granules. Words are aligned and little-endian.
 *
 * | words | what |
 * | --- | --- |
 * | 0 | the object's bytes, here or elsewhere; where the content is a manifest, those of the manifest |
 * | 1 | bucket |
 * | 2, 3 | version: counter, epoch |
 * | 4 | bytes of the key; how often it was read, from bit 11; bytes of the metadata as it is encoded, from bit 16 |
 * | 5 | number of the table that the record is in; kind, from bit 16; flags; count of parts, from bit 23, or 511 |
 * | 1 | count of parts, where there are 511 or more |
 * | 2 | the version that the last put made, where appends have made another of it |
 * | 2 | when the object expires, in ms since the Unix epoch, if it does |
 * | 1 | CRC-32 of the value, if its writer made one |
 * | 2 each | parts, where the content lies in runs of blocks: address, blocks |
 *
 * Key, metadata and, where there are no parts, content follow byte by byte.
 */
export const HEADER_BYTES = 24
export const HEADER_WORDS = HEADER_BYTES / 4
const PART_BYTES = 8

/**
 * What the content of a record is. From `remote` on, the object's bytes are outside RAM: on another node; on
 * a lower tier; on another node, with room reserved on a lower tier. For the last two the content is an
 * encoded location, see `encodeLocation`.
 */
export const Kind = { value: 0, manifest: 1, appended: 2, remote: 3, demoted: 4, remoteLower: 5 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]

const KIND_SHIFT = 16
const KIND_MASK = 0xf
export const HAS_BASE = 1 << 20
export const HAS_EXPIRY = 1 << 21
export const HAS_CHECKSUM = 1 << 22
export const PARTS_SHIFT = 23
/** The longest key. */
export const KEY_MASK = 0x7ff
const READS_SHIFT = 11
/** Reads are counted in five bits. */
const READS_MAX = 31
/** Tier and record number. */
const LOCATION_BYTES = 8
/** The largest part count in nine bits; larger counts take a word of their own. */
export const MANY_PARTS = 511

/** A run of blocks that holds part of a payload. */
export interface Part {
  readonly at: number
  readonly blocks: number
}

/** The fields of an object, independent of its key and of where its bytes are. */
export interface ObjectFields {
  readonly version: number
  /** The version of the last put; appends since then have raised `version`. */
  readonly base: number
  /** Since the Unix epoch; 0 if it does not expire. */
  readonly expiresAtMs: number
  /** Encoded. */
  readonly metadata: Uint8Array
  /** CRC-32 of the whole value, as its writer computed it; null if there is none. */
  readonly checksum: number | null
  readonly kind: Kind
  /** Of the content, here or elsewhere. */
  readonly bytes: number
}

/** A record to be written. */
export interface RecordFields {
  readonly key: { readonly bucket: number; readonly key: Uint8Array }
  readonly object: ObjectFields
  readonly parts: readonly Part[]
  /** Empty if there are parts. */
  readonly content: Uint8Array
}

/**
 * The charge of an object to its job: its memory and its share of the index. `apartBytes` is what its content
 * takes in runs.
 */
export function chargeOf(
  object: Omit<ObjectFields, 'metadata'>,
  sizes: { keyBytes: number; metadataBytes: number; apartBytes: number },
): number {
  const { keyBytes, metadataBytes, apartBytes } = sizes
  const optional = optionalBytes(object)
  const inline = isOnLowerTier(object.kind) ? LOCATION_BYTES : object.bytes
  const content = apartBytes > 0 ? PART_BYTES : inline
  return ENTRY_OVERHEAD_BYTES + roundUp(optional + keyBytes + metadataBytes + content) + apartBytes
}

/** Whether an object of this kind has its bytes, or reserved room for them, on a tier below RAM. */
export function isOnLowerTier(kind: Kind): boolean {
  return kind >= Kind.demoted
}

/** Where an object's bytes are below RAM. */
export interface Location {
  readonly tier: number
  /** The tier's record number; `NO_RECORD` while the bytes are on another node. */
  readonly record: number
}

export const NO_RECORD = 0xffff_ffff

export function encodeLocation({ tier, record }: Location): Buffer {
  const content = Buffer.allocUnsafe(LOCATION_BYTES)
  content.writeUInt32LE(tier, 0)
  content.writeUInt32LE(record, 4)
  return content
}

export function decodeLocation(content: Uint8Array): Location {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength)
  return { tier: view.getUint32(0, true), record: view.getUint32(4, true) }
}

/** What the content of an object takes in runs, unless the object was appended to. */
export function apartBytesOf({ kind, bytes }: Pick<ObjectFields, 'kind' | 'bytes'>): number {
  return isOnLowerTier(kind) ? 0 : bytesApart(bytes)
}

/** What content of so many bytes takes in runs. */
export function bytesApart(bytes: number): number {
  return bytes > PAYLOAD_COPIED_BYTES_MAX ? Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES : 0
}

/** Of the whole record. */
export function recordBytes(fields: RecordFields): number {
  const { key: of, object, parts, content } = fields
  const optional = optionalBytes(object) + bytesOfParts(parts.length)
  return roundUp(HEADER_BYTES + optional + of.key.length + object.metadata.length + content.length)
}

export function writeRecord(arena: Arena, target: { at: number; table: number }, fields: RecordFields): void {
  const { key: of, object, parts, content } = fields
  const { bucket, key } = of
  const { version, base, expiresAtMs, metadata, checksum, kind, bytes } = object
  const { words, bytes: memory } = arena.slabOf(target.at)
  const word = arena.granuleOf(target.at) * 2
  const flags =
    (hasBase(object) ? HAS_BASE : 0) |
    (expiresAtMs === 0 ? 0 : HAS_EXPIRY) |
    (checksum === null ? 0 : HAS_CHECKSUM)
  words[word] = bytes
  words[word + 1] = bucket
  putLong(words, word + 2, version)
  words[word + 4] = key.length | (metadata.length << 16)
  const count = Math.min(parts.length, MANY_PARTS)
  words[word + 5] = target.table | (kind << KIND_SHIFT) | flags | (count << PARTS_SHIFT)
  let next = word + HEADER_WORDS
  if (count === MANY_PARTS) words[next++] = parts.length
  if (hasBase(object)) next = putLong(words, next, base)
  if (expiresAtMs !== 0) next = putLong(words, next, expiresAtMs)
  if (checksum !== null) words[next++] = checksum
  for (const { at, blocks } of parts) {
    words[next++] = at
    words[next++] = blocks
  }
  let offset = next * 4
  offset = copy(key, memory, offset)
  offset = copy(metadata, memory, offset)
  copy(content, memory, offset)
}

/** Returns the offset after the copied bytes. */
function copy(source: Uint8Array, target: Buffer, offset: number): number {
  copyBytes(source, target, offset)
  return offset + source.length
}

/**
 * A record in the arena. Fields are read on construction; key, metadata and content are valid until the arena
 * changes.
 */
export class StoredRecord {
  readonly arena: Arena
  readonly address: number
  readonly version: number
  /** As `ObjectFields.base`. */
  readonly base: number
  /** As `ObjectFields.expiresAtMs`. */
  readonly expiresAtMs: number
  /** As `ObjectFields.checksum`. */
  readonly checksum: number | null
  readonly kind: Kind
  readonly bytes: number
  readonly bucket: number
  readonly table: number
  readonly keyBytes: number
  readonly metadataBytes: number
  readonly partCount: number
  readonly #partsWord: number

  constructor(arena: Arena, at: number) {
    const { words } = arena.slabOf(at)
    const word = arena.granuleOf(at) * 2
    const sizes = words[word + 4] as number
    const flags = words[word + 5] as number
    let next = word + HEADER_WORDS
    this.arena = arena
    this.address = at
    this.bytes = words[word] as number
    this.bucket = words[word + 1] as number
    this.version = longAt(words, word + 2)
    this.base = this.version
    this.expiresAtMs = 0
    this.keyBytes = sizes & KEY_MASK
    this.metadataBytes = sizes >>> 16
    this.table = flags & 0xffff
    this.kind = ((flags >>> KIND_SHIFT) & KIND_MASK) as Kind
    const count = flags >>> PARTS_SHIFT
    this.partCount = count === MANY_PARTS ? (words[next++] as number) : count
    if ((flags & HAS_BASE) !== 0) {
      this.base = longAt(words, next)
      next += 2
    }
    if ((flags & HAS_EXPIRY) !== 0) {
      this.expiresAtMs = longAt(words, next)
      next += 2
    }
    this.checksum = (flags & HAS_CHECKSUM) === 0 ? null : (words[next++] as number)
    this.#partsWord = next
  }

  /** Of inline content. */
  get contentBytes(): number {
    if (this.partCount > 0 || this.kind === Kind.remote) return 0
    return isOnLowerTier(this.kind) ? LOCATION_BYTES : this.bytes
  }

  /** Of an object below RAM. */
  get location(): Location {
    return decodeLocation(this.content)
  }

  /** Reads since the put, up to `READS_MAX`. The demotion sampler halves them now and then. */
  get reads(): number {
    const { words } = this.arena.slabOf(this.address)
    return ((words[this.arena.granuleOf(this.address) * 2 + 4] as number) >>> READS_SHIFT) & READS_MAX
  }

  set reads(count: number) {
    const { words } = this.arena.slabOf(this.address)
    const word = this.arena.granuleOf(this.address) * 2 + 4
    const others = (words[word] as number) & ~(READS_MAX << READS_SHIFT)
    words[word] = others | (Math.min(READS_MAX, count) << READS_SHIFT)
  }

  /** Of the whole record. */
  get recordBytes(): number {
    return roundUp(
      this.#contentOffset + this.contentBytes - this.arena.granuleOf(this.address) * GRANULE_BYTES,
    )
  }

  get key(): Buffer {
    return this.#slice(this.#keyOffset, this.keyBytes)
  }

  /** The hash by which tables find it. */
  get hash(): number {
    return tableHash(this.key, this.bucket)
  }

  get metadata(): Buffer {
    return this.#slice(this.#keyOffset + this.keyBytes, this.metadataBytes)
  }

  /** Inline content, if there are no parts. */
  get content(): Buffer {
    return this.#slice(this.#contentOffset, this.contentBytes)
  }

  /** A range of inline content, if there are no parts. */
  contentAt({ offset, bytes }: { offset: number; bytes: number }): Buffer {
    return this.#slice(this.#contentOffset + offset, Math.min(bytes, this.contentBytes - offset))
  }

  get parts(): Part[] {
    const { words } = this.arena.slabOf(this.address)
    const parts: Part[] = []
    for (let index = 0; index < this.partCount; index++) {
      const word = this.#partsWord + 2 * index
      parts.push({ at: words[word] as number, blocks: words[word + 1] as number })
    }
    return parts
  }

  /**
   * Updates the record of an object that grew within its last part. A checksum can only be replaced, not
   * added.
   */
  grow({ version, bytes, checksum }: Pick<ObjectFields, 'version' | 'bytes' | 'checksum'>): void {
    const { words } = this.arena.slabOf(this.address)
    const word = this.arena.granuleOf(this.address) * 2
    words[word] = bytes
    putLong(words, word + 2, version)
    if (checksum !== null) words[this.#partsWord - 1] = checksum
  }

  get #keyOffset(): number {
    return this.#partsWord * 4 + this.partCount * PART_BYTES
  }

  get #contentOffset(): number {
    return this.#keyOffset + this.keyBytes + this.metadataBytes
  }

  #slice(offset: number, bytes: number): Buffer {
    return this.arena.slabOf(this.address).bytes.subarray(offset, offset + bytes)
  }
}

/** Appended objects always have the field, so that they can grow in place. */
function hasBase({ kind, base, version }: Pick<ObjectFields, 'kind' | 'base' | 'version'>): boolean {
  return kind === Kind.appended || base !== version
}

function optionalBytes(object: Omit<ObjectFields, 'metadata' | 'bytes'>): number {
  return (hasBase(object) ? 8 : 0) + (object.expiresAtMs === 0 ? 0 : 8) + (object.checksum === null ? 0 : 4)
}

/** Bytes of the part list in a record. */
export function bytesOfParts(count: number): number {
  return count * PART_BYTES + (count < MANY_PARTS ? 0 : 4)
}

export function roundUp(bytes: number): number {
  return Math.ceil(bytes / GRANULE_BYTES) * GRANULE_BYTES
}

/** An integer of eight bytes. */
export function longAt(words: Uint32Array, word: number): number {
  return (words[word + 1] as number) * 2 ** 32 + (words[word] as number)
}

/** Returns the index of the word after it. */
export function putLong(words: Uint32Array, word: number, value: number): number {
  words[word] = value % 2 ** 32
  words[word + 1] = Math.floor(value / 2 ** 32)
  return word + 2
}
