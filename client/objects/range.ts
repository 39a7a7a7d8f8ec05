import { MayflyError } from '../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../protocol/limits.ts'
import type { Range } from '../options.ts'
import type { Deadline } from '../routing/deadline.ts'

/** From `start` up to, excluding, `end`; never empty, except for a whole empty object. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A contiguous part of the requested bytes, and how to read it. */
export interface Part {
  /** Its offset in the requested bytes. */
  readonly from: number
  readonly bytes: number
  /** Its bytes have arrived with the object's head. */
  readonly isHere?: true
  /** Reads it into `target` if given, otherwise into memory of its own. */
  readonly read: (bounds: Deadline, target?: Buffer) => Promise<Buffer>
}

/** The span of a range in an object of `bytes`; null is all of it. Throws `RANGE_NOT_SATISFIABLE`. */
export function spanOf(range: Range | null, bytes: number): Span {
  if (range === null) return { start: 0, end: bytes }
  const { start, end = bytes } = range
  if (start < bytes) return { start, end: Math.min(end, bytes) }
  throw new MayflyError('RANGE_NOT_SATISFIABLE', `The object has ${bytes} bytes, none from ${start} on`)
}

/** Splits a span into parts of up to one message. */
export function* piecesOf({ start, end }: Span): Generator<Span> {
  for (let from = start; from < end; from += CHUNK_BYTES) {
    yield { start: from, end: Math.min(end, from + CHUNK_BYTES) }
  }
}
