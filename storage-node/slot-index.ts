import type { peerOperations } from '../protocol/control-operations.ts'
import { hashKey } from '../protocol/hash.ts'
import { INDEX_PAGE_BYTES, INDEX_PAGE_ENTRIES } from '../protocol/limits.ts'
import type { RequestOf } from '../protocol/operation.ts'
import { chunkGroupKey, LostChunk, RemoteChunk } from './chunks.ts'
import type { JobSpace } from './job-space.ts'
import { RAM } from './job-tiers.ts'
import { keyBytes, keyString } from './key-string.ts'
import { encodeMetadata } from './metadata.ts'
import type { JobMemory } from './ram/job-memory.ts'
import { encodeLocation, Kind, NO_RECORD } from './ram/record.ts'
import type { Slot } from './slot.ts'
import {
  encodeManifest,
  manifestOf,
  metadataOf,
  objectBytes,
  type StoredObject,
  tierOf,
} from './stored-object.ts'

type IndexRequest = RequestOf<typeof peerOperations.slotIndex>

/** A page of a slot's index, without the name of the slot. */
export type IndexPage = Omit<IndexRequest, 'job' | 'slot' | 'epoch'>

export interface Now {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** Cells of a table looked at in one step. */
const SCAN_CELLS = 256

/** Everything about a slot but its bytes, in pages. Leases and times to live travel as what is left of them. */
export function* indexPages({ memory }: JobSpace, slot: Slot, now: Now): Generator<IndexPage> {
  const entries = objectEntries(memory, slot, now.wallMs)
  const chunks = chunkEntries(slot)
  let page = 0
  let next = takePage(entries, chunks)
  for (;;) {
    const current = next
    const full = current.entries.length + current.chunks.length > 0
    next = full ? takePage(entries, chunks) : current
    const last = !full || next.entries.length + next.chunks.length === 0
    yield {
      page,
      last,
      ...current,
      openPuts: last ? leasesLeft(openPuts(slot), now) : [],
      readLeases: last ? leasesLeft(slot.readLeases, now) : [],
      lostKeys: last ? lostKeys(slot) : [],
    }
    if (last) return
    page++
  }
}

/**
 * Enters a page into a slot that is arriving: objects and chunks without their bytes, but for those in buckets that
 * were dropped meanwhile. Throws `CAPACITY_EXCEEDED` with a part entered; the page may be entered again.
 */
export function enterPage(job: JobSpace, slot: Slot, { page, now }: { page: IndexPage; now: Now }): void {
  job.memory.tidy()
  for (const entry of page.entries)
    if (!job.droppedBuckets.has(entry.bucket)) enterObject(job, slot, { entry, now })
  for (const { bucket, key, version, index, bytes, checksum, tier, lost } of page.chunks) {
    if (job.droppedBuckets.has(bucket)) continue
    const groupKey = chunkGroupKey(bucket, keyString(key), version)
    const chunk = lost ? new LostChunk() : new RemoteChunk(bytes, keptTier(job, tier))
    slot.chunks.set({ bucket, key: Buffer.from(key), version }, { groupKey, index, checksum }, chunk)
  }
  for (const { version, leftMs } of page.openPuts) slot.openPuts.set(version, now.monotonicMs + leftMs)
  for (const { version, lease, leftMs } of page.readLeases)
    slot.readLeases.hold(version, lease, now.monotonicMs + leftMs)
  for (const { bucket, key } of page.lostKeys) if (!job.droppedBuckets.has(bucket)) slot.lose({ bucket, key })
}

function enterObject(
  job: JobSpace,
  slot: Slot,
  { entry, now }: { entry: IndexPage['entries'][number]; now: Now },
): void {
  const { bucket, key, version, base, bytes, ttlMs, manifest, checksum } = entry
  const of = { bucket, key, hash: hashKey(key, bucket) }
  const isLarge = manifest.length > 0
  const tier = isLarge || bytes === 0 ? RAM : keptTier(job, entry.tier)
  const place = tier === RAM ? nothing : encodeLocation({ tier, record: NO_RECORD })
  const content = isLarge ? encodeManifest(manifest) : place
  const object = {
    version,
    base,
    expiresAtMs: ttlMs === 0 ? 0 : Math.round(now.wallMs + ttlMs),
    metadata: encodeMetadata(entry.metadata),
    checksum,
    kind: isLarge ? Kind.manifest : bytes === 0 ? Kind.value : tier === RAM ? Kind.remote : Kind.remoteBelow,
    bytes: isLarge ? content.length : bytes,
    content,
  }
  if (!slot.set(of, object, slot.find(of))) job.memory.makeRoom(() => slot.set(of, object, slot.find(of)))
  if (entry.keptBucket === '') return
  slot.kept.add(of, entry.keptBucket)
  job.keeps = true
}

/** What lay below RAM on the owner before gets its room below RAM here too, where there is any. */
function keptTier({ tiers }: JobSpace, tier: number): number {
  if (tier === RAM) return RAM
  return tiers.offers(tier) ? tier : (tiers.below(RAM) ?? RAM)
}

const nothing = Buffer.alloc(0)

type Entries = Pick<IndexPage, 'entries' | 'chunks'>

function takePage(
  objects: Iterator<IndexPage['entries'][number]>,
  chunks: Iterator<IndexPage['chunks'][number]>,
): Entries {
  const page: { entries: IndexPage['entries'][number][]; chunks: IndexPage['chunks'][number][] } = {
    entries: [],
    chunks: [],
  }
  let bytes = 0
  while (page.entries.length + page.chunks.length < INDEX_PAGE_ENTRIES && bytes < INDEX_PAGE_BYTES) {
    const entry = objects.next()
    if (!entry.done) {
      page.entries.push(entry.value)
      bytes += entryBytes(entry.value)
      continue
    }
    const chunk = chunks.next()
    if (chunk.done) return page
    page.chunks.push(chunk.value)
    bytes += chunk.value.key.length + 32
  }
  return page
}

/**
 * Expired objects too: a released slot does not change, so its pages are the same however often they are sent. Keys are
 * copies, for a page is made while the one before it is under way.
 */
function* objectEntries(
  memory: JobMemory,
  slot: Slot,
  wallMs: number,
): Generator<IndexPage['entries'][number]> {
  for (let from: number | null = 0; from !== null; ) {
    const entries: IndexPage['entries'][number][] = []
    from = slot.objects.scan(from, SCAN_CELLS, (object) => {
      const keptBucket = slot.kept.bucketOf(object)
      entries.push({ ...objectEntry(memory, object, wallMs), keptBucket })
    })
    yield* entries
  }
}

function objectEntry(
  memory: JobMemory,
  object: StoredObject,
  wallMs: number,
): Omit<IndexPage['entries'][number], 'keptBucket'> {
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

function* chunkEntries(slot: Slot): Generator<IndexPage['chunks'][number]> {
  for (const { bucket, key, version, chunks, checksums } of slot.chunks.groups.values()) {
    for (const [index, chunk] of chunks) {
      const checksum = checksums.get(index) ?? null
      const { bytes, tier } = chunk
      yield { bucket, key, version, index, bytes, tier, checksum, lost: chunk instanceof LostChunk }
    }
  }
}

function leasesLeft<Lease extends { untilMs: number }>(
  leases: Iterable<Lease>,
  { monotonicMs }: Now,
): (Omit<Lease, 'untilMs'> & { leftMs: number })[] {
  return [...leases].flatMap(({ untilMs, ...lease }) => {
    const leftMs = Math.ceil(untilMs - monotonicMs)
    return leftMs > 0 ? [{ ...lease, leftMs }] : []
  })
}

function* openPuts(slot: Slot): Generator<{ version: number; untilMs: number }> {
  for (const [version, untilMs] of slot.openPuts) yield { version, untilMs }
}

function lostKeys(slot: Slot): { bucket: number; key: Buffer }[] {
  return [...(slot.lostKeys ?? [])].flatMap(([bucket, keys]) =>
    [...keys].map((key) => ({ bucket, key: keyBytes(key) })),
  )
}

function entryBytes({ key, metadata, manifest }: IndexPage['entries'][number]): number {
  const names = metadata.reduce((sum, { name, value }) => sum + name.length + value.length + 4, 0)
  return key.length + names + 8 * manifest.length + 64
}
