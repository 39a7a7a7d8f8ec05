import { isError, MayflyError } from '../../protocol/errors.ts'
import { CHUNKS_IN_FLIGHT, CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { hashChunk } from '../../protocol/model/hash.ts'
import { chunksOf, type Manifest, manifestOf } from '../../protocol/model/manifest.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { repeat } from '../../protocol/runtime.ts'
import type { CallOptions } from '../../protocol/transport/call.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Sent } from '../routing/routed-call.ts'
import { asHead, type Router } from '../routing/router.ts'
import { checksumOf, verify } from './integrity.ts'
import type { ObjectFields, StreamFields } from './object-fields.ts'
import type { Part, Span } from './range.ts'

/** A large put. `bounds` returns those of the next message. */
interface LargePut extends StreamFields {
  readonly checksums: boolean
  readonly bounds: () => Deadline
}

/** Sends one chunk of up to `CHUNK_BYTES`, which must not change until it resolves. */
export type SendChunk = (index: number, bytes: Uint8Array) => Promise<void>

/**
 * Puts an object in chunks: `send` sends them concurrently and returns their manifest, whose commit makes the
 * object visible. If anything fails before, nothing is visible and the nodes reclaim the chunks.
 */
export async function putChunks(
  router: Router,
  at: KeyAddress,
  { put, send }: { put: LargePut; send: (chunk: SendChunk) => Promise<Manifest> },
): Promise<{ version: number }> {
  const { bounds, checksums, metadata, ...fields } = put
  const { hash, ...place } = at
  const { condition, ifVersion } = fields
  const { head } = await router.call(dataOperations.putBegin, {
    hash,
    request: ({ epoch }) => ({ ...place, epoch, condition, ifVersion }),
    ...bounds(),
  })
  const { version, leaseMs } = head
  const lease = repeat(router.runtime.clock, leaseMs / 3, () =>
    tellOwner(router, at, dataOperations.putRenew, { version }),
  )
  // The source or the connections keep the process alive.
  lease.unref()
  const sendChunk: SendChunk = async (index, bytes) => {
    const checksum = checksumOf(bytes, checksums)
    await router.call(dataOperations.chunkPut, {
      hash: hashChunk(hash, version, index),
      request: ({ epoch }) => ({ ...place, epoch, version, index, checksum }),
      payload: bytes,
      ...bounds(),
    })
  }
  try {
    const manifest = await send(sendChunk)
    const last = { ...fields, metadata: metadata(), version, manifest }
    const request = (sent: Sent) => ({ ...place, ...sent, ...last })
    return await router.mutate(dataOperations.putCommit, { hash, request, ...bounds() }, asHead)
  } catch (error) {
    if (!isError(error, 'OUTCOME_UNKNOWN')) void tellOwner(router, at, dataOperations.putAbort, { version })
    throw error
  } finally {
    lease.cancel()
  }
}

/** Puts an object larger than one chunk. */
export async function putChunked(
  router: Router,
  at: KeyAddress,
  object: ObjectFields & { bytes: Uint8Array; checksums: boolean; bounds: Deadline },
): Promise<{ version: number }> {
  const { bytes, bounds, ...put } = object
  const manifest = manifestOf(bytes.length)
  return await putChunks(router, at, {
    put: { ...put, metadata: () => put.metadata, bounds: () => bounds },
    send: async (sendChunk) => {
      await runInFlight(chunksOf(manifest), CHUNKS_IN_FLIGHT, ({ index, offset, bytes: chunkBytes }) =>
        sendChunk(index, bytes.subarray(offset, offset + chunkBytes)),
      )
      return manifest
    },
  })
}

/**
 * The chunks of one version that overlap a span, with the overlapping range of each. Reading one throws
 * `NOT_FOUND` if the version was replaced and reclaimed, and `OBJECT_LOST` if its node failed.
 */
export function* chunkParts(
  router: Router,
  at: KeyAddress,
  object: { version: number; manifest: Manifest; span: Span; checksums: boolean },
): Generator<Part> {
  const { version, manifest, span, checksums } = object
  for (const { index, offset, bytes } of chunksOf(manifest)) {
    if (offset >= span.end) return
    const start = Math.max(0, span.start - offset)
    const end = Math.min(bytes, span.end - offset)
    if (start >= end) continue
    const chunk = { version, index, bytes, start, end, checksums }
    yield {
      from: offset + start - span.start,
      bytes: end - start,
      read: (bounds, target) => readChunk(router, at, { ...chunk, bounds, target }),
    }
  }
}

async function readChunk(
  router: Router,
  { hash, ...place }: KeyAddress,
  chunk: Span & {
    version: number
    index: number
    bytes: number
    checksums: boolean
    bounds: Deadline
    target: Buffer | undefined
  },
): Promise<Buffer> {
  const { version, index, start, end, checksums, bounds, target } = chunk
  // A checksum covers a whole chunk, so all of it has to be read.
  const asked = checksums ? { start: 0, end: chunk.bytes } : { start, end }
  const length = asked.end - asked.start
  const { head, payload } = await router.call(dataOperations.chunkGet, {
    hash: hashChunk(hash, version, index),
    request: ({ epoch }) => ({ ...place, epoch, version, index, offset: asked.start, length }),
    land: landingIn(target),
    ...bounds,
  })
  if (payload.length !== length) {
    throw new MayflyError(
      'PROTOCOL_VIOLATION',
      `Of chunk ${index} came ${payload.length} bytes, its manifest says ${length}`,
    )
  }
  if (checksums) verify(payload, head.checksum)
  const bytes = checksums ? payload.subarray(start, end) : payload
  if (target === undefined || payload === target) return bytes
  bytes.copy(target)
  return target
}

/** Receives an answer's payload directly into `target`, if the lengths match. */
function landingIn(target: Buffer | undefined): CallOptions['land'] {
  if (target === undefined) return undefined
  const landing = { bytes: target, abandon: () => undefined }
  return (payloadBytes) => (payloadBytes === target.length ? landing : null)
}

type LeaseOperation<Lease> = Operation<{ epoch: number; bucket: number; key: Uint8Array } & Lease, unknown>

/** Renews or ends the lease of a version's writer or reader. */
export async function askOwner<Lease extends { version: number }>(
  router: Router,
  { hash, ...place }: KeyAddress,
  { operation, lease, bounds }: { operation: LeaseOperation<Lease>; lease: Lease; bounds: Deadline },
): Promise<void> {
  const request = ({ epoch }: { epoch: number }) => ({ ...place, ...lease, epoch })
  await router.call(operation, { hash, request, ...bounds })
}

/**
 * As `askOwner`, ignoring failures: a lapsed lease shows when the version is used, and an unreleased one ends
 * by itself.
 */
export async function tellOwner<Lease extends { version: number }>(
  router: Router,
  at: KeyAddress,
  operation: LeaseOperation<Lease>,
  lease: Lease,
): Promise<void> {
  const bounds = { deadlineMs: router.runtime.clock.monotonicMs() + CONTROL_CALL_MS }
  await askOwner(router, at, { operation, lease, bounds }).catch(() => undefined)
}
