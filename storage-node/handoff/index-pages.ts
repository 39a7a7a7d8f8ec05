import { unreachable } from '../../protocol/assert.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import type { peerOperations } from '../../protocol/operations/plane-operations.ts'
import type { NodeJob } from '../job/job.ts'
import { INDEX_PAGE_BYTES, INDEX_PAGE_ENTRIES } from '../limits.ts'
import type { JobMemory } from '../memory/job-memory.ts'
import { encodeLocation, Kind, NO_RECORD } from '../memory/record.ts'
import { tableHash } from '../memory/table-hash.ts'
import { chunkGroupKey, LostChunk, RemoteChunk } from '../slot/chunks.ts'
import { keyBytes, keyString } from '../slot/key-string.ts'
import { persistedStateOf } from '../slot/persisted-names.ts'
import type { Slot } from '../slot/slot.ts'
import {
  encodeManifest,
  manifestOf,
  metadataOf,
  objectBytes,
  type StoredObject,
  tierOf,
} from '../slot/stored-object.ts'
import { encodeMetadata } from '../slot/user-metadata.ts'
import { RAM } from '../tiers/job-tiers.ts'

type IndexRequest = RequestOf<typeof peerOperations.slotIndex>

/** A page of a slot's index, without the identity of the slot. */
export type IndexPage = Omit<IndexRequest, 'job' | 'slot' | 'epoch'>

type Lists = {
  [List in 'entries' | 'chunks' | 'openPuts' | 'readLeases' | 'lostKeys' | 'kept']: IndexPage[List][number][]
}

export interface Now {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** Table cells visited in one step. */
const SCAN_CELLS = 256

/** One element of a page: its list, and an upper bound of its bytes in the message. */
type Part = {
  readonly [List in keyof Lists]: {
    readonly list: List
    readonly item: Lists[List][number]
    readonly bytes: number
  }
}[keyof Lists]

/**
 * Everything of a slot but its bytes, in pages. Leases and times to live are sent as remaining time. All
 * lists count against the bounds of a page, because each can grow large.
 */
export function* indexPages({ memory }: NodeJob, slot: Slot, now: Now): Generator<IndexPage> {
  const parts = partsOf(memory, slot, now)
  let next = parts.next()
  for (let page = 0; ; page++) {
    const lists: Lists = { entries: [], chunks: [], openPuts: [], readLeases: [], lostKeys: [], kept: [] }
    let bytes = 0
    for (let count = 0; !next.done && count < INDEX_PAGE_ENTRIES && bytes < INDEX_PAGE_BYTES; count++) {
      bytes += next.value.bytes
      add(lists, next.value)
      next = parts.next()
    }
    yield { page, last: next.done === true, ...lists }
    if (next.done) return
  }
}

function add(lists: Lists, part: Part): void {
  switch (part.list) {
    case 'entries':
      lists.entries.push(part.item)
      break
    case 'chunks':
      lists.chunks.push(part.item)
      break
    case 'openPuts':
      lists.openPuts.push(part.item)
      break
    case 'readLeases':
      lists.readLeases.push(part.item)
      break
    case 'lostKeys':
      lists.lostKeys.push(part.item)
      break
    case 'kept':
      lists.kept.push(part.item)
      break
    default:
      unreachable(part)
  }
}

function* partsOf(memory: JobMemory, slot: Slot, now: Now): Generator<Part, undefined> {
  yield* objectParts(memory, slot, now.wallMs)
  yield* chunkParts(slot)
  for (const item of leasesLeft(openPuts(slot), now)) yield { list: 'openPuts', item, bytes: 12 }
  for (const item of leasesLeft(slot.readLeases, now)) yield { list: 'readLeases', item, bytes: 20 }
  for (const item of lostKeys(slot)) yield { list: 'lostKeys', item, bytes: item.key.length + 6 }
  for (const item of slot.persisted)
    yield { list: 'kept', item, bytes: item.key.length + item.name.length + 20 }
}

/**
 * Enters a page into an arriving slot: objects and chunks without bytes, except for those in deleted buckets.
 * Throws `CAPACITY_EXCEEDED` with a part entered; the page may be entered again.
 */
export function enterPage(job: NodeJob, slot: Slot, { page, now }: { page: IndexPage; now: Now }): void {
  job.memory.compactIfSparse()
  for (const entry of page.entries)
    if (!job.buckets.isDeleted(entry.bucket)) enterObject(job, slot, { entry, now })
  for (const { bucket, key, version, index, bytes, checksum, tier, lost } of page.chunks) {
    if (job.buckets.isDeleted(bucket)) continue
    const groupKey = chunkGroupKey(bucket, keyString(key), version)
    const chunk = lost ? new LostChunk() : new RemoteChunk(bytes, targetTier(job, tier))
    slot.chunks.set({ bucket, key: Buffer.from(key), version }, { groupKey, index, checksum }, chunk)
  }
  for (const { version, leftMs } of page.openPuts) slot.openPuts.set(version, now.monotonicMs + leftMs)
  for (const { version, lease, leftMs } of page.readLeases)
    slot.readLeases.hold(version, lease, now.monotonicMs + leftMs)
  for (const { bucket, key } of page.lostKeys)
    if (!job.buckets.isDeleted(bucket)) slot.markLost({ bucket, key })
  // Also of a deleted bucket: the slot's owner removes it from the persistent store.
  for (const { bucket, key, name, version, state } of page.kept) {
    slot.persisted.set({ bucket, key }, { name, version, state: persistedStateOf(state) })
    job.notePersisted()
  }
}

function enterObject(
  job: NodeJob,
  slot: Slot,
  { entry, now }: { entry: IndexPage['entries'][number]; now: Now },
): void {
  const { bucket, key, version, base, bytes, ttlMs, manifest, checksum } = entry
  const hash = { bucket, key, hash: tableHash(key, bucket) }
  const isLarge = manifest.length > 0
  const tier = isLarge || bytes === 0 ? RAM : targetTier(job, entry.tier)
  const place = tier === RAM ? nothing : encodeLocation({ tier, record: NO_RECORD })
  const content = isLarge ? encodeManifest(manifest) : place
  const object = {
    version,
    base,
    expiresAtMs: ttlMs === 0 ? 0 : Math.round(now.wallMs + ttlMs),
    metadata: encodeMetadata(entry.metadata),
    checksum,
    kind: isLarge ? Kind.manifest : bytes === 0 ? Kind.value : tier === RAM ? Kind.remote : Kind.remoteLower,
    bytes: isLarge ? content.length : bytes,
    content,
  }
  if (!slot.set(hash, object, slot.find(hash)))
    job.memory.retryCompacting(() => slot.set(hash, object, slot.find(hash)))
}

/** Reserves room below RAM for bytes that were below RAM on the previous owner, if this node has any. */
function targetTier({ tiers }: NodeJob, tier: number): number {
  if (tier === RAM) return RAM
  return tiers.allows(tier) ? tier : (tiers.nextLower(RAM) ?? RAM)
}

const nothing = Buffer.alloc(0)

/**
 * Includes expired objects: a released slot does not change, so its pages are the same each time. Keys are
 * copied, because a page is built while the previous one is being sent.
 */
function* objectParts(memory: JobMemory, slot: Slot, wallMs: number): Generator<Part> {
  for (let from: number | null = 0; from !== null; ) {
    const parts: Part[] = []
    from = slot.objects.scan(from, SCAN_CELLS, (object) => {
      const item = objectEntry(memory, object, wallMs)
      parts.push({ list: 'entries', item, bytes: entryBytes(object, item) })
    })
    yield* parts
  }
}

function objectEntry(memory: JobMemory, object: StoredObject, wallMs: number): IndexPage['entries'][number] {
  const { bucket, version, base, checksum, expiresAtMs } = object
  return {
    bucket,
    key: Buffer.from(object.key),
    version,
    base,
    bytes: objectBytes(memory, object),
    tier: tierOf(object),
    ttlMs: expiresAtMs === 0 ? 0 : Math.max(1, Math.round(expiresAtMs - wallMs)),
    manifest: manifestOf(memory, object),
    metadata: metadataOf(object),
    checksum,
  }
}

function* chunkParts(slot: Slot): Generator<Part> {
  for (const { bucket, key, version, chunks, checksums } of slot.chunks.groups.values()) {
    for (const [index, chunk] of chunks) {
      const checksum = checksums.get(index) ?? null
      const { bytes, tier } = chunk
      const item = { bucket, key, version, index, bytes, tier, checksum, lost: chunk instanceof LostChunk }
      yield { list: 'chunks', item, bytes: key.length + 32 }
    }
  }
}

function* leasesLeft<Lease extends { untilMs: number }>(
  leases: Iterable<Lease>,
  { monotonicMs }: Now,
): Generator<Omit<Lease, 'untilMs'> & { leftMs: number }> {
  for (const { untilMs, ...lease } of leases) {
    const leftMs = Math.ceil(untilMs - monotonicMs)
    if (leftMs > 0) yield { ...lease, leftMs }
  }
}

function* openPuts(slot: Slot): Generator<{ version: number; untilMs: number }> {
  for (const [version, untilMs] of slot.openPuts) yield { version, untilMs }
}

function* lostKeys(slot: Slot): Generator<{ bucket: number; key: Buffer }> {
  for (const [bucket, keys] of slot.lostKeys ?? [])
    for (const key of keys) yield { bucket, key: keyBytes(key) }
}

/** Metadata is encoded in a record as on the wire. */
function entryBytes(
  { keyBytes, metadataBytes }: StoredObject,
  { manifest }: IndexPage['entries'][number],
): number {
  return keyBytes + metadataBytes + 8 * manifest.length + 64
}
