import type { Answer } from '../protocol/caller.ts'
import { ANY_VERSION, dataOperations, ObjectKind } from '../protocol/data-operations.ts'
import { isError, MayflyError } from '../protocol/errors.ts'
import type { ReplyOf } from '../protocol/operation.ts'
import type { Bounds } from './bounds.ts'
import { getChunks, type KeyAddress } from './large-object.ts'
import type { Sent } from './routed-call.ts'
import { asAnswer, type Router } from './router.ts'

interface Get {
  readonly consume: boolean
  /** A key that is not there is waited for until then, on the clock's monotonic scale. */
  readonly untilMs: number
  readonly bounds: Bounds
}

interface Piece {
  readonly consume: boolean
  readonly version: number
  readonly offset: number
}

type GetAnswer = Answer<ReplyOf<typeof dataOperations.get>>

/** Reads an object, in one message where it fits, in chunks or pieces of one version where it does not. */
export async function getObject(router: Router, at: KeyAddress, get: Get): Promise<Buffer> {
  const { consume, bounds } = get
  let lostVersion = ANY_VERSION
  for (;;) {
    const first = await getPiece(router, at, { ...get, version: ANY_VERSION, offset: 0 })
    const { head, payload } = first
    if (head.kind === ObjectKind.value && payload.length === head.bytes) return payload
    try {
      if (head.kind === ObjectKind.manifest) return await getChunks(router, at, { ...head, bounds })
      return await getPieces(router, at, { first, get })
    } catch (error) {
      if (head.consumed) throw afterConsume(error)
      if (isError(error, 'OBJECT_LOST') && head.version !== lostVersion) {
        // A chunk that is missing where a node died was lost, or freed because its version was replaced: the owner knows.
        lostVersion = head.version
        continue
      }
      // The version was replaced while it was read: there is a newer one, or none.
      const replaced = isError(error, 'NOT_FOUND', 'VERSION_MISMATCH')
      if (!replaced || (consume && isError(error, 'NOT_FOUND'))) throw error
    }
  }
}

/** An object that was appended to beyond one message. It is consumed, by its version, once all of it is here. */
async function getPieces(
  router: Router,
  at: KeyAddress,
  from: { first: GetAnswer; get: Get },
): Promise<Buffer> {
  const { first, get } = from
  const { version, bytes } = first.head
  const pieces = [first.payload]
  for (let offset = first.payload.length; offset < bytes; ) {
    const { payload } = await getPiece(router, at, { ...get, consume: false, version, offset })
    if (payload.length === 0)
      throw new MayflyError('PROTOCOL_VIOLATION', 'A node answered with an empty piece')
    pieces.push(payload)
    offset += payload.length
  }
  if (get.consume) await getPiece(router, at, { ...get, version, offset: 0 })
  return Buffer.concat(pieces).subarray(0, bytes)
}

async function getPiece(router: Router, at: KeyAddress, piece: Piece & Get): Promise<GetAnswer> {
  const { hash, ...place } = at
  const { consume, version, offset, untilMs, bounds } = piece
  const { clock } = router.runtime
  const request = (sent: Sent) => {
    const waitMs = Math.max(0, Math.round(untilMs - clock.monotonicMs()))
    return { ...place, ...sent, consume, version, offset, waitMs }
  }
  if (!consume) return await router.call(dataOperations.get, { hash, request, ...bounds })
  return await router.mutate(dataOperations.get, { hash, request, holds: true, ...bounds }, asAnswer)
}

/** The object is ours and nobody else's any more, but not all of it could be read: trying again would not find it. */
function afterConsume(error: unknown): unknown {
  if (!(error instanceof MayflyError) || error.code === 'OBJECT_LOST') return error
  const code = error.code === 'NOT_FOUND' ? 'OBJECT_LOST' : 'OUTCOME_UNKNOWN'
  return new MayflyError(code, `The object was consumed and could not be read: ${error.reason}`, {
    cause: error,
  })
}
