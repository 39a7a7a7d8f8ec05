import { isError, MayflyError } from '../../protocol/errors.ts'
import { MANY_IN_FLIGHT } from '../../protocol/limits.ts'
import {
  type DataReplies,
  dataOperations,
  ObjectKind,
  StatResult,
  type Tier,
  tiers,
} from '../../protocol/operations/data-operations.ts'
import type { Answer } from '../../protocol/transport/call.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import { text } from '../../protocol/wire/codec.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { askOwner, batchesOf, type IndexedKey, indexed } from '../routing/batches.ts'
import type { Deadline } from '../routing/deadline.ts'
import { type KeyAddress, nameOf } from '../routing/key-address.ts'
import type { Router } from '../routing/router.ts'
import { tellOwner } from './chunked.ts'
import { concat, type Get, openObject, readerOf, wasReplaced } from './get.ts'

export interface ObjectStat {
  readonly key: string
  /** Of the object, without key and metadata. */
  readonly bytes: number
  /** Identifies this put of the key; every put has another version. */
  readonly version: number
  /** Where the bytes are stored. */
  readonly tier: Tier
  /** Whether it outlives its job. */
  readonly persist: boolean
  /** When it expires; null if it does not. */
  readonly expiresAt: Date | null
  readonly metadata: Readonly<Record<string, string>>
}

/** An object's bytes and the `stat` of the same version. */
export interface ObjectWithMetadata extends ObjectStat {
  /** The bytes, which the caller owns; only those of `range` if it was given, while `bytes` counts all. */
  readonly value: Buffer
}

/** What the key's owner knows of the object; null if there is none. */
export async function statObject(
  router: Router,
  at: KeyAddress,
  { key, bounds }: { key: string; bounds: Get['bounds'] },
): Promise<ObjectStat | null> {
  try {
    const { head } = await router.call(dataOperations.stat, {
      hash: at.hash,
      request: ({ epoch }) => ({ epoch, bucket: at.bucket, key: at.key }),
      key: at.key,
      ...bounds,
    })
    const metadata = Object.fromEntries(head.metadata.map(({ name, value }) => [name, value]))
    return statOf(key, { ...head, metadata })
  } catch (error) {
    if (isError(error, 'NOT_FOUND')) return null
    throw error
  }
}

/** What an answer tells of an object. */
interface Told extends Pick<ObjectStat, 'bytes' | 'version' | 'persist' | 'metadata'> {
  readonly tier: number
  readonly expiresAtMs: number
}

function statOf(key: string, told: Told): ObjectStat {
  const { bytes, version, tier, persist, expiresAtMs, metadata } = told
  return {
    key,
    bytes,
    version,
    tier: tiers[tier] ?? 'ram',
    expiresAt: expiresAtMs === 0 ? null : new Date(expiresAtMs),
    persist,
    metadata,
  }
}

/**
 * As `statObject`, of keys in order, one message per node. Keys whose slot has moved, or for which an answer had
 * no room, are asked again. Throws `OBJECT_LOST`.
 */
export async function statObjects(
  router: Router,
  keys: readonly KeyAddress[],
  bounds: Deadline,
): Promise<(ObjectStat | null)[]> {
  const stats = new Array<ObjectStat | null>(keys.length).fill(null)
  let wanted = indexed(keys)
  while (wanted.length > 0) {
    const again: IndexedKey[] = []
    await runInFlight(batchesOf(router, wanted), MANY_IN_FLIGHT, async (batch) => {
      const answer = await askOwner(router, batch, {
        bounds,
        call: (caller, asked) => caller.call(dataOperations.statMany, asked, bounds),
        resultsOf: ({ results }) => results,
        stale: StatResult.stale,
      })
      again.push(...takeStats(stats, batch, answer))
    })
    wanted = again
  }
  return stats
}

/** Puts what an answer tells into `stats`. Returns the keys to ask again. */
function takeStats(
  stats: (ObjectStat | null)[],
  batch: readonly IndexedKey[],
  { head, payload }: Answer<DataReplies['statMany']>,
): IndexedKey[] {
  const again: IndexedKey[] = []
  const metadata = new Reader(payload)
  for (const [at, wanted] of batch.entries()) {
    const key = nameOf(wanted.key)
    const result = head.results[at]
    if (result === StatResult.lost)
      throw new MayflyError('OBJECT_LOST', `'${key}' is not here, and an owner of its slot died`)
    if (result === StatResult.stale || result === StatResult.later) again.push(wanted)
    if (result !== StatResult.found) continue
    stats[wanted.index] = statOf(key, {
      bytes: head.bytes[at] as number,
      version: head.versions[at] as number,
      tier: head.tiers[at] as number,
      expiresAtMs: head.expiresAtMs[at] as number,
      persist: head.persist[at] === 1,
      metadata: metadataIn(metadata, head.metadataBytes[at] as number),
    })
  }
  metadata.finish()
  return again
}

function metadataIn(reader: Reader, bytes: number): Record<string, string> {
  const entries: [string, string][] = []
  for (const end = reader.offset + bytes; reader.offset < end; )
    entries.push([text.read(reader), text.read(reader)])
  return Object.fromEntries(entries)
}

/**
 * Reads an object with its metadata. Both requests leave in one write to the key's owner, which answers them
 * in one batch. If their versions differ, the object was put in between: both are asked again.
 */
export async function getWithMetadata(
  router: Router,
  at: KeyAddress,
  { key, get }: { key: string; get: Get },
): Promise<ObjectWithMetadata> {
  const { bounds } = get
  for (;;) {
    // The stat is sent first, so that a failure of the get leaves no rejection without a handler.
    const [stated, got] = await Promise.allSettled([
      statObject(router, at, { key, bounds }),
      getVersion(router, at, get),
    ])
    if (got.status === 'rejected') throw got.reason
    if (stated.status === 'rejected') throw stated.reason
    const { value, version } = got.value
    // A get that waited began before there was an object to ask about.
    const stat = stated.value ?? (await statObject(router, at, { key, bounds }))
    if (stat?.version === version) return { ...stat, value }
  }
}

/** The bytes of one version, in one message or in parts. */
async function getVersion(
  router: Router,
  at: KeyAddress,
  get: Get,
): Promise<{ value: Buffer; version: number }> {
  for (let lostVersion = 0; ; ) {
    const opened = await openObject(router, at, get)
    const { head } = opened
    try {
      return { value: await concat(opened, get), version: head.version }
    } catch (error) {
      // A chunk that is missing after a node failure was lost, or freed because its version was replaced.
      const isLost = isError(error, 'OBJECT_LOST') && head.version !== lostVersion
      if (!isLost && !wasReplaced(error)) throw error
      if (isLost) lostVersion = head.version
    } finally {
      if (head.kind === ObjectKind.manifest)
        void tellOwner(router, at, dataOperations.readEnd, readerOf(head))
    }
  }
}
