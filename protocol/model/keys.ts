import { isUtf8 } from 'node:buffer'
import { MayflyError } from '../errors.ts'
import { BUCKET_NAME_BYTES_MAX, KEY_BYTES_MAX } from '../limits.ts'
import { flawOfKeyText } from './text.ts'

/** The default bucket. It exists in every job and cannot be deleted. */
export const DEFAULT_BUCKET = 'default'
export const DEFAULT_BUCKET_ID = 0

/** Encodes a key for the wire. Throws `BAD_REQUEST`. */
export function encodeKey(key: string): Buffer {
  if (typeof key !== 'string') throw badKey('is not a string')
  const flaw = flawOfKeyText(key)
  if (flaw !== null) throw badKey(flaw)
  const bytes = Buffer.from(key)
  checkLength(bytes)
  return bytes
}

/** Validates a received key. Throws `BAD_REQUEST`. */
export function checkKey(bytes: Uint8Array): void {
  checkKeyRange(bytes, 0, bytes.length)
}

/** `checkKey` of `length` bytes from `start` on. */
export function checkKeyRange(memory: Uint8Array, start: number, length: number): void {
  if (length > 0 && length <= KEY_BYTES_MAX && isPlain(memory, start, start + length)) return
  const bytes = memory.subarray(start, start + length)
  checkLength(bytes)
  if (bytes.includes(0)) throw badKey('holds a NUL character')
  if (!isUtf8(bytes)) throw badKey('is not UTF-8')
}

/**
 * Whether it is ASCII without NUL, as most keys are: a loop costs less than the two calls that check the
 * rest.
 */
function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === 0 || byte > 0x7f) return false
  }
  return true
}

function checkLength(bytes: Uint8Array): void {
  if (bytes.length === 0) throw badKey('is empty')
  if (bytes.length > KEY_BYTES_MAX)
    throw badKey(`has ${bytes.length} bytes of UTF-8, more than ${KEY_BYTES_MAX}`)
}

/** Throws `BAD_REQUEST` if `name` cannot be a bucket's name. */
export function checkBucketName(name: string): void {
  const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0
  if (bytes === 0 || bytes > BUCKET_NAME_BYTES_MAX || !/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/.test(name)) {
    throw new MayflyError(
      'BAD_REQUEST',
      `bucket: '${name}' is not 1 to ${BUCKET_NAME_BYTES_MAX} letters, digits, '.', '_' or '-' that start with a letter or digit`,
    )
  }
}

function badKey(what: string): MayflyError {
  return new MayflyError('BAD_REQUEST', `key: it ${what}`)
}
