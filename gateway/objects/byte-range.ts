import { S3Error } from '../http/s3-error.ts'

/** From `start` up to, excluding, `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * The range that a `Range` header selects of an object; null for all of it, as for a header that cannot be read or
 * names several ranges, which S3 ignores. Throws `InvalidRange` with the object's length.
 */
export function rangeOf(header: string | undefined, bytes: number): ByteRange | null {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return null
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1)
  if (first !== '' && last !== '' && Number(last) < start) return null
  if (start >= bytes || end <= start)
    throw new S3Error('InvalidRange', undefined, { headers: { 'content-range': `bytes */${bytes}` } })
  return { start, end }
}

export function contentRange({ start, end }: ByteRange, bytes: number): string {
  return `bytes ${start}-${end - 1}/${bytes}`
}

/** The range of a part's source, which has to lie within it. Throws `InvalidArgument`, or `InvalidRange`. */
export function copyRangeOf(header: string | undefined, bytes: number): ByteRange | null {
  if (header === undefined) return null
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header) ?? []
  const range = { start: Number(first), end: Number(last) + 1 }
  if (first === undefined || range.end <= range.start)
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    )
  if (range.end > bytes) throw new S3Error('InvalidRange')
  return range
}
