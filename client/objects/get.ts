import { type ErrorCode, isError, MayflyError } from '../../protocol/errors.ts'
import { CHUNKS_IN_FLIGHT, GET_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../protocol/limits.ts'
import { ANY_VERSION, dataOperations, ObjectKind } from '../../protocol/operations/data-operations.ts'
import type { ReplyOf } from '../../protocol/operations/operation.ts'
import type { Answer } from '../../protocol/transport/call.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import { type ChunkMemory, landIn } from '../../protocol/wire/chunk-memory.ts'
import type { Range } from '../options.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Finish, Sent } from '../routing/routed-call.ts'
import { asAnswer, type Router } from '../routing/router.ts'
import { chunkParts, tellOwner } from './chunked.ts'
import { verify } from './integrity.ts'
import { type Part, piecesOf, type Span, spanOf } from './range.ts'

const nothing = Buffer.alloc(0)

export interface Get {
  readonly consume: boolean
  /** Until when to wait for a missing key, monotonic ms; 0 is no wait. */
  readonly untilMs: number
  readonly range: Range | null
  /** The version to read; `ANY_VERSION` for the current one. */
  readonly version: number
  /** Whether bytes are verified against their writers' checksums. */
  readonly checksums: boolean
  readonly bounds: Deadline
  /** Where bytes that come in one message are received; memory of their own if not given. */
  readonly memory?: ChunkMemory | undefined
}

/** The owner's answer about an object, and how to read the requested range. */
export interface Opened {
  readonly head: ReplyOf<typeof dataOperations.get>
  readonly span: Span
  readonly parts: Iterable<Part>
}

interface Piece {
  readonly consume: boolean
  readonly version: number
  readonly offset: number
  /** 0 is as much as one message holds. */
  readonly length: number
}

type GetAnswer = Answer<ReplyOf<typeof dataOperations.get>>

/** Reads an object: in one message if it fits, otherwise in chunks or ranges of one version. */
export function getObject(
  router: Router,
  at: KeyAddress,
  get: Get,
  lostVersion: number = ANY_VERSION,
): Promise<Buffer> {
  return askFirst(router, at, get, (head, payload) => {
    if (get.range === null && head.kind === ObjectKind.value && payload.length === head.bytes) {
      if (get.checksums) verify(payload, head.checksum)
      return payload
    }
    return getParts(router, at, { first: { head, payload }, get, lostVersion })
  })
}

/** Reads what did not fit the first message; starts again if the object was replaced meanwhile. */
async function getParts(
  router: Router,
  at: KeyAddress,
  { first, get, lostVersion }: { first: GetAnswer; get: Get; lostVersion: number },
): Promise<Buffer> {
  const { head } = first
  try {
    return await collect(router, at, { opened: await open(router, at, { first, get }), get })
  } catch (error) {
    if (head.consumed) throw afterConsume(error)
    // A chunk missing after a node failure was lost, or freed because its version was replaced: the owner
    // knows.
    if (isError(error, 'OBJECT_LOST') && head.version !== lostVersion)
      return await getObject(router, at, get, head.version)
    if (!wasReplaced(error) || (get.consume && isError(error, 'NOT_FOUND'))) throw error
    if (get.version !== ANY_VERSION) throw notThatVersion(error)
    return await getObject(router, at, get, lostVersion)
  } finally {
    if (head.kind === ObjectKind.manifest) void tellOwner(router, at, dataOperations.readEnd, readerOf(head))
  }
}

/** The read lease of a version, if the answer is a manifest. */
export function readerOf({ version, lease }: Opened['head']): { version: number; lease: number } {
  return { version, lease }
}

/** Requests an object from the key's owner. It may be replaced before all parts are read. */
export async function openObject(router: Router, at: KeyAddress, get: Get): Promise<Opened> {
  for (;;) {
    const first = await askFirst(router, at, get, asAnswer)
    try {
      return await open(router, at, { first, get })
    } catch (error) {
      if (!wasReplaced(error)) throw error
      if (get.version !== ANY_VERSION) throw notThatVersion(error)
    }
  }
}

/** The version that the caller asked for is gone. */
function notThatVersion(cause: unknown): MayflyError {
  return new MayflyError('VERSION_MISMATCH', 'The object was replaced or deleted', { cause })
}

/** The version was replaced during the read: there is a newer one, or none. */
export function wasReplaced(error: unknown): boolean {
  return isError(error, 'NOT_FOUND', 'VERSION_MISMATCH')
}

function askFirst<Result>(
  router: Router,
  at: KeyAddress,
  get: Get,
  finish: Finish<GetAnswer['head'], Result>,
): Promise<Result> {
  const { consume, untilMs, bounds, range, checksums, version, memory } = get
  let offset = 0
  let length = 0
  // A checksum covers the whole object, so all of it has to be read.
  if (range !== null && !checksums) {
    offset = range.start
    length = Math.min(PAYLOAD_BYTES_MAX, (range.end ?? Number.POSITIVE_INFINITY) - range.start)
  }
  return askPiece(router, at, { consume, untilMs, bounds, version, memory, offset, length }, finish)
}

async function open(
  router: Router,
  at: KeyAddress,
  { first, get }: { first: GetAnswer; get: Get },
): Promise<Opened> {
  const { head } = first
  const { range, checksums } = get
  const span = spanOf(range, head.bytes)
  if (head.kind === ObjectKind.manifest)
    return { head, span, parts: chunkParts(router, at, { ...head, span, checksums }) }
  if (!checksums) return { head, span, parts: valueParts(router, at, { first, span, get }) }
  const all = { start: 0, end: head.bytes }
  const whole = await concat(
    { head, span: all, parts: valueParts(router, at, { first, span: all, get }) },
    get,
  )
  verify(whole, head.checksum)
  const asked = range === null ? whole : whole.subarray(span.start, span.end)
  return { head, span, parts: [partOf(asked)] }
}

/** Bytes that have already arrived. */
function partOf(bytes: Buffer): Part {
  const read = async (_: Deadline, target?: Buffer): Promise<Buffer> => {
    if (target === undefined) return bytes
    bytes.copy(target)
    return target
  }
  return { from: 0, bytes: bytes.length, isHere: true, read }
}

/** The bytes of a value: those of the first answer, and further ranges of the same version. */
function* valueParts(
  router: Router,
  at: KeyAddress,
  { first, span, get }: { first: GetAnswer; span: Span; get: Get },
): Generator<Part> {
  const { payload, head } = first
  yield partOf(payload)
  for (const { start, end } of piecesOf({ start: span.start + payload.length, end: span.end })) {
    const piece = { consume: false, version: head.version, offset: start, length: end - start }
    yield {
      from: start - span.start,
      bytes: end - start,
      read: async (bounds, target) => {
        const { payload } = await getPiece(router, at, { ...get, ...piece, bounds })
        if (payload.length === end - start) return partOf(payload).read(bounds, target)
        throw new MayflyError(
          'PROTOCOL_VIOLATION',
          `A node answered with ${payload.length} of ${end - start} bytes`,
        )
      },
    }
  }
}

async function collect(
  router: Router,
  at: KeyAddress,
  { opened, get }: { opened: Opened; get: Get },
): Promise<Buffer> {
  const bytes = await concat(opened, get)
  // An object in several pieces is consumed, by version, once all of it has arrived.
  if (get.consume && !opened.head.consumed)
    await getPiece(router, at, { ...get, version: opened.head.version, offset: 0, length: 0 })
  return bytes
}

/** The bytes of all parts in one buffer; not copied if there is one part. */
export async function concat({ span, parts }: Opened, { bounds, memory }: Get): Promise<Buffer> {
  const total = span.end - span.start
  if (total > GET_BYTES_MAX) {
    throw new MayflyError(
      'OBJECT_TOO_LARGE',
      `That is ${total} bytes; get returns up to ${GET_BYTES_MAX} in one Buffer, getStream any number`,
    )
  }
  let whole: Buffer | null = null
  await runInFlight(parts, CHUNKS_IN_FLIGHT, async ({ from, bytes, isHere, read }) => {
    if (bytes === total) {
      whole = await read(bounds, isHere ? undefined : memory?.take(bytes))
      return
    }
    whole ??= Buffer.allocUnsafeSlow(total)
    await read(bounds, whole.subarray(from, from + bytes))
  })
  return whole ?? nothing
}

type AskedPiece = Piece & Pick<Get, 'untilMs' | 'bounds' | 'memory'>

function getPiece(router: Router, at: KeyAddress, piece: AskedPiece): Promise<GetAnswer> {
  return askPiece(router, at, piece, asAnswer)
}

function askPiece<Result>(
  router: Router,
  at: KeyAddress,
  piece: AskedPiece,
  finish: Finish<GetAnswer['head'], Result>,
): Promise<Result> {
  const { consume, untilMs, bounds, memory } = piece
  const { clock } = router.runtime
  const request = ({ epoch, lane, sequence }: Sent) => ({
    epoch,
    bucket: at.bucket,
    key: at.key,
    lane,
    sequence,
    consume,
    waitMs: untilMs === 0 ? 0 : Math.max(0, Math.round(untilMs - clock.monotonicMs())),
    version: piece.version,
    offset: piece.offset,
    length: piece.length,
  })
  const call = {
    hash: at.hash,
    request,
    holds: consume,
    key: at.key,
    deadlineMs: bounds.deadlineMs,
    signal: bounds.signal,
    context: bounds.context,
    land: landIn(memory),
  }
  if (!consume) return router.read(dataOperations.get, call, finish)
  return router.mutate(dataOperations.get, call, finish)
}

/** Errors that already say that a consumed object is gone. */
const saysAll: readonly ErrorCode[] = ['OBJECT_LOST', 'CHECKSUM_MISMATCH']

/** The object was consumed but could not be read completely: a retry would not find it. */
function afterConsume(error: unknown): unknown {
  if (!(error instanceof MayflyError) || saysAll.includes(error.code)) return error
  const code = error.code === 'NOT_FOUND' ? 'OBJECT_LOST' : 'OUTCOME_UNKNOWN'
  return new MayflyError(code, `The object was consumed and could not be read: ${error.reason}`, {
    cause: error,
  })
}
