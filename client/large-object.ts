import { dataOperations } from '../protocol/data-operations.ts'
import { asMayflyError, isError, MayflyError } from '../protocol/errors.ts'
import { hashChunk, hashKey } from '../protocol/hash.ts'
import { CHUNKS_IN_FLIGHT, CONTROL_CALL_MS, GET_BYTES_MAX } from '../protocol/limits.ts'
import { chunksOf, type Manifest, manifestBytes, manifestOf } from '../protocol/manifest.ts'
import type { RequestOf } from '../protocol/operation.ts'
import { repeat } from '../protocol/runtime.ts'
import type { Bounds } from './bounds.ts'
import type { Sent } from './routed-call.ts'
import type { Router } from './router.ts'

/** A key of the job, with the hash of its bucket and name that places it. */
export interface KeyAddress {
  readonly bucket: number
  readonly key: Buffer
  readonly hash: number
}

export function addressOf(bucket: number, key: Buffer): KeyAddress {
  return { bucket, key, hash: hashKey(key, bucket) }
}

type Commit = Pick<
  RequestOf<typeof dataOperations.putCommit>,
  'condition' | 'ifVersion' | 'ttlSeconds' | 'metadata'
>

/**
 * Puts an object that is larger than one chunk: its chunks first, many at a time, then the manifest, which makes it
 * visible. If it fails before that, nothing is visible and the nodes reclaim the chunks.
 */
export async function putLarge(
  router: Router,
  at: KeyAddress,
  object: Commit & { bytes: Uint8Array; bounds: Bounds },
): Promise<{ version: number }> {
  const { bytes, bounds, ...commit } = object
  const { hash, ...place } = at
  const { condition, ifVersion } = commit
  const manifest = manifestOf(bytes.length)
  const { head } = await router.call(dataOperations.putBegin, {
    hash,
    request: ({ epoch }) => ({ ...place, epoch, condition, ifVersion }),
    ...bounds,
  })
  const { version, leaseMs } = head
  const lease = repeat(router.runtime.clock, leaseMs / 3, () =>
    tellOwner(router, at, { operation: dataOperations.putRenew, version }),
  )
  try {
    await forEachChunk(manifest, async ({ index, offset, bytes: chunkBytes }) => {
      await router.call(dataOperations.chunkPut, {
        hash: hashChunk(hash, version, index),
        request: ({ epoch }) => ({ ...place, epoch, version, index }),
        payload: bytes.subarray(offset, offset + chunkBytes),
        ...bounds,
      })
    })
    const request = (sent: Sent) => ({ ...place, ...sent, ...commit, version, manifest })
    return await router.mutate(dataOperations.putCommit, { hash, request, ...bounds }, (head) => head)
  } catch (error) {
    if (!isError(error, 'OUTCOME_UNKNOWN'))
      void tellOwner(router, at, { operation: dataOperations.putAbort, version })
    throw error
  } finally {
    lease.cancel()
  }
}

/**
 * Reads the chunks of one version into one buffer. Throws `NOT_FOUND` if the version was replaced and reclaimed
 * while it was read, `OBJECT_LOST` if a node that held a part died.
 */
export async function getChunks(
  router: Router,
  at: KeyAddress,
  object: { version: number; manifest: Manifest; bounds: Bounds },
): Promise<Buffer> {
  const { version, manifest, bounds } = object
  const total = manifestBytes(manifest)
  if (total > GET_BYTES_MAX) {
    throw new MayflyError(
      'OBJECT_TOO_LARGE',
      `The object has ${total} bytes; get returns up to ${GET_BYTES_MAX} in one Buffer`,
    )
  }
  const { hash, ...place } = at
  const target = Buffer.allocUnsafeSlow(total)
  await forEachChunk(manifest, async ({ index, offset, bytes }) => {
    const landing = { bytes: target.subarray(offset, offset + bytes), abandon: () => undefined }
    const { payload } = await router.call(dataOperations.chunkGet, {
      hash: hashChunk(hash, version, index),
      request: ({ epoch }) => ({ ...place, epoch, version, index }),
      land: (payloadBytes) => (payloadBytes === bytes ? landing : null),
      ...bounds,
    })
    if (payload.length !== bytes) {
      throw new MayflyError(
        'PROTOCOL_VIOLATION',
        `Chunk ${index} has ${payload.length} bytes, its manifest says ${bytes}`,
      )
    }
    if (payload !== landing.bytes) payload.copy(target, offset)
  })
  return target
}

/** Runs `work` on every chunk, a bounded number at a time; after the first failure it starts no more. */
async function forEachChunk(
  manifest: Manifest,
  work: (chunk: { index: number; offset: number; bytes: number }) => Promise<void>,
): Promise<void> {
  const chunks = chunksOf(manifest)
  let failure: unknown = null
  const worker = async (): Promise<void> => {
    for (const chunk of chunks) {
      if (failure !== null) return
      await work(chunk).catch((error: unknown) => {
        failure ??= asMayflyError(error)
      })
    }
  }
  await Promise.all(Array.from({ length: CHUNKS_IN_FLIGHT }, worker))
  if (failure !== null) throw failure
}

/**
 * Renews a version's lease or gives it up. A failure is no news: a lease that could not be renewed shows when the
 * put commits, as `PUT_EXPIRED`, and a version that was not given up is reclaimed at its lease's end.
 */
async function tellOwner(
  router: Router,
  { hash, ...place }: KeyAddress,
  about: { operation: typeof dataOperations.putRenew | typeof dataOperations.putAbort; version: number },
): Promise<void> {
  const { operation, version } = about
  const deadlineMs = router.runtime.clock.monotonicMs() + CONTROL_CALL_MS
  const told = router.call(operation, {
    hash,
    request: ({ epoch }) => ({ ...place, epoch, version }),
    deadlineMs,
  })
  await told.catch(() => undefined)
}
