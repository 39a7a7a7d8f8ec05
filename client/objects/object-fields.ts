import { MayflyError } from '../../protocol/errors.ts'
import { OBJECT_BYTES_MAX } from '../../protocol/limits.ts'
import { DEFAULT_BUCKET } from '../../protocol/model/keys.ts'
import type { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import { checkCondition, checkMetadata, noOptions, type ObjectOptions } from '../options.ts'

/** The fields sent with an object's bytes. */
export type ObjectFields = Pick<
  RequestOf<typeof dataOperations.put>,
  'condition' | 'ifVersion' | 'ttlSeconds' | 'metadata' | 'keptBucket'
>

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

const plain = read({})

/** Its UTF-8. Throws `BAD_REQUEST` where that has no form of it. */
export function encodeText(text: string, name: 'bytes' | 'readable'): Buffer {
  if (text.isWellFormed()) return Buffer.from(text)
  throw new MayflyError(
    'BAD_REQUEST',
    `${name}: the string has half of a surrogate pair, which UTF-8 cannot carry`,
  )
}

/** Encodes an object's bytes. Throws `BAD_REQUEST` or `OBJECT_TOO_LARGE`. */
export function encodeObject(bytes: Uint8Array | string): Uint8Array {
  const object = typeof bytes === 'string' ? encodeText(bytes, 'bytes') : bytes
  if (!(object instanceof Uint8Array))
    throw new MayflyError('BAD_REQUEST', 'bytes: it is no Uint8Array and no string')
  if (object.length > OBJECT_BYTES_MAX) {
    throw new MayflyError(
      'OBJECT_TOO_LARGE',
      `The object has ${object.length} bytes, more than ${OBJECT_BYTES_MAX}`,
    )
  }
  return object
}
