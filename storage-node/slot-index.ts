import type { peerOperations } from '../protocol/control-operations.ts'
import { INDEX_PAGE_BYTES, INDEX_PAGE_ENTRIES } from '../protocol/limits.ts'
import type { RequestOf } from '../protocol/operation.ts'
import { contentBytes, isManifest, Remote } from './content.ts'
import { keyBytes, keyString } from './place.ts'
import { chunkGroupKey, LostChunk, type Slot, type StoredObject } from './slot.ts'

type IndexRequest = RequestOf<typeof peerOperations.slotIndex>

/** A page of a slot's index, without the name of the slot. */
export type IndexPage = Omit<IndexRequest, 'job' | 'slot' | 'epoch'>

export interface Now {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** Everything about a slot but its bytes, in pages. Leases and times to live travel as what is left of them. */
export function* indexPages(slot: Slot, now: Now): Generator<IndexPage> {
  const entries = objectEntries(slot, now.wallMs)
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
      openPuts: last ? leasesLeft(slot.openPuts, now) : [],
      readLeases: last ? leasesLeft(slot.readLeases, now) : [],
      lostKeys: last ? lostKeys(slot) : [],
    }
    if (last) return
    page++
  }
}

/** Enters a page into a slot that is arriving: objects and chunks without their bytes. */
export function enterPage(slot: Slot, page: IndexPage, now: Now): void {
  for (const { bucket, key, version, base, bytes, ttlMs, manifest, metadata } of page.entries) {
    const content = manifest.length > 0 ? manifest : bytes === 0 ? Buffer.alloc(0) : new Remote(bytes)
    const expiresAtMs = ttlMs === 0 ? 0 : Math.round(now.wallMs + ttlMs)
    slot.set(bucket, keyString(key), { version, base, content, metadata, expiresAtMs })
  }
  for (const { bucket, key, version, index, bytes, lost } of page.chunks) {
    const groupKey = chunkGroupKey(bucket, keyString(key), version)
    const chunk = lost ? new LostChunk() : new Remote(bytes)
    slot.setChunk({ bucket, key: Buffer.from(key), version }, { groupKey, index }, chunk)
  }
  for (const { version, leftMs } of page.openPuts) slot.openPuts.set(version, now.monotonicMs + leftMs)
  for (const { version, leftMs } of page.readLeases) slot.readLeases.set(version, now.monotonicMs + leftMs)
  for (const { bucket, key } of page.lostKeys) slot.lose(bucket, keyString(key))
}

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

/** Expired objects too: a released slot does not change, so its pages are the same however often they are sent. */
function* objectEntries(slot: Slot, wallMs: number): Generator<IndexPage['entries'][number]> {
  for (const [bucket, keys] of slot.objects) {
    for (const [key, object] of keys) {
      yield objectEntry({ bucket, key: keyBytes(key) }, object, wallMs)
    }
  }
}

function objectEntry(
  place: { bucket: number; key: Buffer },
  object: StoredObject,
  wallMs: number,
): IndexPage['entries'][number] {
  const { version, base, content, metadata, expiresAtMs } = object
  return {
    ...place,
    version,
    base,
    bytes: contentBytes(content),
    ttlMs: expiresAtMs === 0 ? 0 : Math.max(1, Math.round(expiresAtMs - wallMs)),
    manifest: isManifest(content) ? content : [],
    metadata,
  }
}

function* chunkEntries(slot: Slot): Generator<IndexPage['chunks'][number]> {
  for (const { bucket, key, version, chunks } of slot.chunks.values()) {
    for (const [index, chunk] of chunks) {
      const lost = chunk instanceof LostChunk
      const bytes = lost ? 0 : Buffer.isBuffer(chunk) ? chunk.length : chunk.bytes
      yield { bucket, key, version, index, bytes, lost }
    }
  }
}

function leasesLeft(
  leases: Map<number, number>,
  { monotonicMs }: Now,
): { version: number; leftMs: number }[] {
  return [...leases].flatMap(([version, untilMs]) => {
    const leftMs = Math.ceil(untilMs - monotonicMs)
    return leftMs > 0 ? [{ version, leftMs }] : []
  })
}

function lostKeys(slot: Slot): { bucket: number; key: Buffer }[] {
  return [...slot.lostKeys].flatMap(([bucket, keys]) =>
    [...keys].map((key) => ({ bucket, key: keyBytes(key) })),
  )
}

function entryBytes({ key, metadata, manifest }: IndexPage['entries'][number]): number {
  const names = metadata.reduce((sum, { name, value }) => sum + name.length + value.length + 4, 0)
  return key.length + names + 8 * manifest.length + 64
}
