import { isArrayBuffer, isSharedArrayBuffer } from 'node:util/types'
import { MayflyError } from '../../protocol/errors.ts'
import { OBJECT_BYTES_MAX } from '../../protocol/limits.ts'
import { DEFAULT_BUCKET, encodeKey } from '../../protocol/model/keys.ts'
import type { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import {
  checkCondition,
  checkMetadata,
  checkOptions,
  noOptions,
  type ObjectOptions,
  type PutEntry,
  type PutStreamOptions,
} from '../options.ts'

/** The fields sent with an object's bytes. */
export type ObjectFields = Pick<
  RequestOf<typeof dataOperations.put>,
  'condition' | 'ifVersion' | 'ttlSeconds' | 'metadata' | 'keptBucket'
>

/** The same of a stream; `metadata` is called when its source has ended. */
export interface StreamFields extends Omit<ObjectFields, 'metadata'> {
  readonly metadata: () => ObjectFields['metadata']
}

/** Encodes an object's options; `bucket` is the name of its bucket. Throws `BAD_REQUEST`. */
export function fieldsOf(options: ObjectOptions, bucket: string | undefined): ObjectFields {
  return saysNothing(options) ? plain : read(options, bucket)
}

function saysNothing(options: ObjectOptions): boolean {
  return (
    options === noOptions ||
    (options.ttlSeconds === undefined &&
      options.ifAbsent === undefined &&
      options.ifVersion === undefined &&
      options.persist === undefined &&
      options.metadata === undefined)
  )
}

function read(options: ObjectOptions, bucket = DEFAULT_BUCKET): ObjectFields {
  return {
    ...checkCondition(options),
    ttlSeconds: options.ttlSeconds ?? 0,
    metadata: checkMetadata(options.metadata),
    keptBucket: options.persist === true ? bucket : '',
  }
}

/** As `fieldsOf`, of a stream, whose metadata may be known only at its end. */
export function streamFieldsOf({ metadata, ...options }: PutStreamOptions): StreamFields {
  if (typeof metadata === 'function')
    return { ...read(options, options.bucket), metadata: () => checkMetadata(metadata()) }
  const fields = read({ ...options, metadata }, options.bucket)
  return { ...fields, metadata: () => fields.metadata }
}

const plain = read({})

/** Encodes text as UTF-8. Throws `BAD_REQUEST` for a lone surrogate. */
export function encodeText(text: string, name: 'bytes' | 'readable'): Buffer {
  if (text.isWellFormed()) return Buffer.from(text)
  throw new MayflyError(
    'BAD_REQUEST',
    `${name}: the string has half of a surrogate pair, which UTF-8 cannot carry`,
  )
}

/**
 * Bytes, or text that is stored as UTF-8. A typed array or DataView stores the bytes that it views, an
 * ArrayBuffer all of its bytes; none is copied.
 */
export type Bytes = string | ArrayBuffer | ArrayBufferView

/** Encodes an entry of a `putMany`. Throws as `fieldsOf` and `encodeObject`. */
export function encodeEntry(
  entry: PutEntry,
  bucket: string | undefined,
): { name: Buffer; bytes: Uint8Array; fields: ObjectFields } {
  checkOptions('entry', entry)
  return {
    name: encodeKey(entry.key),
    bytes: encodeObject(entry.bytes),
    fields: fieldsOf(entry, bucket),
  }
}

/** Encodes an object's bytes. Throws `BAD_REQUEST` or `OBJECT_TOO_LARGE`. */
export function encodeObject(bytes: Bytes): Uint8Array {
  const object =
    typeof bytes === 'string'
      ? encodeText(bytes, 'bytes')
      : bytes instanceof Uint8Array
        ? bytes
        : viewOf(bytes, 'bytes')
  if (object.length > OBJECT_BYTES_MAX) {
    throw new MayflyError(
      'OBJECT_TOO_LARGE',
      `The object has ${object.length} bytes, more than ${OBJECT_BYTES_MAX}`,
    )
  }
  return object
}

/**
 * The same memory as a Uint8Array; `bytes` may come from another realm. Throws `BAD_REQUEST` for a value without bytes, and says what to call
 * instead.
 */
export function viewOf(value: unknown, name: 'bytes' | 'readable'): Uint8Array {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  if (isArrayBuffer(value)) return new Uint8Array(value)
  throw new MayflyError('BAD_REQUEST', `${name}: it ${name === 'bytes' ? 'is' : 'gave'} ${whatOf(value)}`)
}

const wanted = 'not a string, an ArrayBuffer or a view of one'

function whatOf(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    return `${value === null ? 'null' : typeof value}, ${wanted}`
  if (value instanceof Blob) return 'a Blob; put its arrayBuffer(), or its stream() with putStream'
  if (isSharedArrayBuffer(value)) return 'a SharedArrayBuffer, which others may change meanwhile; put a copy'
  if (Symbol.asyncIterator in value) return 'a stream; use putStream'
  return `${Array.isArray(value) ? 'an array' : 'an object'}, ${wanted}; putJson stores it as JSON`
}

/** Encodes a value as JSON. Throws `BAD_REQUEST` for one that JSON cannot represent. */
export function encodeJson(value: unknown): Buffer {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new MayflyError('BAD_REQUEST', `value: JSON cannot hold it: ${firstLine(cause)}`, { cause })
  }
  if (text === undefined) throw new MayflyError('BAD_REQUEST', `value: JSON has no ${typeof value}`)
  return Buffer.from(text)
}

/** Throws `BAD_REQUEST` if the object under the key is no JSON. */
export function decodeJson(bytes: Buffer, key: string): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (cause) {
    throw new MayflyError('BAD_REQUEST', `key: the object '${key}' is no JSON: ${firstLine(cause)}`, {
      cause,
    })
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
