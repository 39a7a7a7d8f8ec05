import { createHash } from 'node:crypto'
import { KEPT_CUT_BYTES_MAX, KEPT_NAME_BYTES_MAX, KEPT_SEGMENT_BYTES_MAX } from './kept-limits.ts'
import type { KeptName } from './kept-store.ts'

/**
 * The path of a kept object, `JOB/BUCKET/KEY`, as a folder and S3 hold it. An ordinary key is its own path. No path is a folder of
 * another one, so that `a` and `a/b` are two objects in any store; no part of it is `.`, `..` or empty; and it has no character that
 * XML, a log or a terminal cannot carry.
 *
 * - A character that cannot stand for itself is `%` and two hexadecimal digits for each of its bytes, as in a URL.
 * - The last part of a key has a `.` in it, or ends with `%`; any other part has none, or ends with `%`.
 * - What is too long for a file's name or for S3 is cut: the beginning, then `%~` and the SHA-256 of the key.
 */
export function pathOf({ job, bucket, key }: KeptName): string {
  const parts = key.split('/')
  const leaf = encodeLeaf(parts.pop() ?? '')
  const path = [job, bucket].map(escapeName).concat(parts.map(encodeFolder), leaf).join('/')
  return isShort(path) ? path : cutPath(path, key)
}

/** Null where the path is not one of ours; `key` is null where it is cut and only the store's own note of it has the key. */
export function nameAt(path: string): { job: string; bucket: string; key: string | null } | null {
  const [job = '', bucket = '', ...parts] = path.split('/')
  if (job === '' || bucket === '' || parts.length === 0) return null
  const name = { job: unescapeName(job), bucket: unescapeName(bucket) }
  if (path.includes(CUT)) return { ...name, key: null }
  const leaf = decodeMarked(parts.pop() ?? '')
  const key = [...parts.map((part) => (part === EMPTY_FOLDER ? '' : decodeMarked(part))), leaf].join('/')
  return pathOf({ ...name, key }) === path ? { ...name, key } : null
}

/** What every path begins with whose name begins with `prefix`; others may begin with it too. Null where no name does. */
export function pathPrefixOf(prefix: string): string | null {
  const parts = prefix.split('/')
  const last = parts.pop() ?? ''
  if (parts.slice(0, 2).includes('')) return null
  const folders = parts.map((part, index) => (index < 2 ? escapeName(part) : encodeFolder(part)))
  const path = [...folders, escapeOpen(last)].join('/')
  const cut = cutAt(path)
  return cut === null ? path : path.slice(0, cut)
}

const CUT = '%~'
const EMPTY_FOLDER = '%-'

/** `%` and `\` besides what no text can carry: control characters, and the two that are none in Unicode. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are escaped.
const unsafe = /[\u0000-\u001f%\\\u007f-\u009f\u2028\u2029\ufffe\uffff]/g

function escapeName(text: string): string {
  return text === '.' || text === '..' ? text.replaceAll('.', '%2E') : escapePart(text)
}

function escapePart(text: string): string {
  return text.replace(unsafe, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  )
}

/** `.` and `..` alone are escaped, and whatever goes on behind them is not. */
function escapeOpen(text: string): string {
  return text === '.' || text === '..' ? '' : escapePart(text)
}

function encodeLeaf(text: string): string {
  const escaped = escapeName(text)
  return escaped.includes('.') ? escaped : `${escaped}%`
}

function encodeFolder(text: string): string {
  if (text === '') return EMPTY_FOLDER
  const escaped = escapePart(text)
  return escaped.includes('.') ? `${escaped}%` : escaped
}

function decodeMarked(part: string): string {
  return unescapeName(part.endsWith('%') ? part.slice(0, -1) : part)
}

/** What is no escape stays: whoever asks holds the result against the path. */
function unescapeName(text: string): string {
  const plain = text.replace(/(?:%[0-9A-F]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
  )
  return plain.isWellFormed() ? plain : text
}

function isShort(path: string): boolean {
  return (
    Buffer.byteLength(path) <= KEPT_NAME_BYTES_MAX &&
    path.split('/').every((part) => Buffer.byteLength(part) <= KEPT_SEGMENT_BYTES_MAX)
  )
}

function cutPath(path: string, key: string): string {
  const hash = createHash('sha256').update(key).digest('hex')
  return `${path.slice(0, cutAt(path) ?? path.length)}${CUT}${hash}`
}

/**
 * Where a path is cut, for a prefix the same place: before the character with which a part of it, or all of it, gets longer than a
 * cut path may have of it. Null where it never does.
 */
function cutAt(path: string): number | null {
  let partBytes = 0
  let bytes = 0
  let at = 0
  for (const character of path) {
    const length = Buffer.byteLength(character)
    bytes += length
    partBytes = character === '/' ? 0 : partBytes + length
    if (partBytes > KEPT_CUT_BYTES_MAX || bytes > KEPT_NAME_BYTES_MAX - KEPT_CUT_BYTES_MAX)
      return beforeEscape(path, at)
    at += character.length
  }
  return null
}

/** No escape is cut through, and no mark is left alone. */
function beforeEscape(path: string, at: number): number {
  const percent = path.lastIndexOf('%', at - 1)
  return percent >= 0 && at - percent < 3 ? percent : at
}
