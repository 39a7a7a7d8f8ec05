import { MayflyError } from '../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../protocol/limits.ts'
import type { Range } from '../options.ts'
import type { Deadline } from '../routing/deadline.ts'

/** From `start` up to, and without, `end`; never empty, but for an empty object that was asked for whole. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A stretch of the bytes that were asked for, and how to read it. */
export interface Part {
  /** Where it lies in what was asked for. */
  readonly from: number
  readonly bytes: number
  /** Reads it into `target`, if that is given, or into memory of its own. */
  readonly read: (bounds: Deadline, target?: Buffer) => Promise<Buffer>
}

/** What a range means of an object of `bytes`; null is all of it. Throws `RANGE_NOT_SATISFIABLE`. */
export function spanOf(range: Range | null, bytes: number): Span {
  if (range === null) return { start: 0, end: bytes }
  const { start, end = bytes } = range
  if (start < bytes) return { start, end: Math.min(end, bytes) }
  throw new MayflyError('RANGE_NOT_SATISFIABLE', `The object has ${bytes} bytes, none from ${start} on`)
}

/** Cuts a span into pieces of up to one message. */
export function* piecesOf({ start, end }: Span): Generator<Span> {
  for (let from = start; from < end; from += CHUNK_BYTES) {
    yield { start: from, end: Math.min(end, from + CHUNK_BYTES) }
  }
}
