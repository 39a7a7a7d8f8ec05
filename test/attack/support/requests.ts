import { MANY_KEYS_MAX } from '../../../protocol/limits.ts'
import { PutCondition } from '../../../protocol/operations/data-operations.ts'

/** Fields of requests. */
const key = (text: string): Uint8Array => Buffer.from(text)
export const at = (text: string) => ({ epoch: 1, bucket: 0, key: key(text) })
export const manyKeys = Array.from({ length: MANY_KEYS_MAX }, (_, index) => key(`many-${index}`))
export const put = {
  condition: PutCondition.always,
  ifVersion: 0,
  ttlSeconds: 0,
  metadata: [],
  checksum: null,
  keptBucket: '',
}
export const get = { lane: 0, sequence: 0, consume: false, waitMs: 0, version: 0, offset: 0, length: 0 }
