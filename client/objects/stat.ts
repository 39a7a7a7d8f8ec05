import { isError } from '../../protocol/errors.ts'
import { dataOperations, ObjectKind, type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import type { KeyAddress } from '../routing/key-address.ts'
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
    return {
      key,
      bytes: head.bytes,
      version: head.version,
      tier: tiers[head.tier] ?? 'ram',
      expiresAt: head.expiresAtMs === 0 ? null : new Date(head.expiresAtMs),
      persist: head.persist,
      metadata: Object.fromEntries(head.metadata.map(({ name, value }) => [name, value])),
    }
  } catch (error) {
    if (isError(error, 'NOT_FOUND')) return null
    throw error
  }
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
