import { MANY_KEYS_MAX } from '../../../protocol/limits.ts'

/** Fields of requests. */
export { putFields as put } from '../../storage-node/support/requests.ts'
export const key = (text: string): Uint8Array => Buffer.from(text)
export const at = (text: string) => ({ epoch: 1, bucket: 0, key: key(text) })
export const manyKeys = Array.from({ length: MANY_KEYS_MAX }, (_, index) => key(`many-${index}`))
export const get = { lane: 0, sequence: 0, consume: false, waitMs: 0, version: 0, offset: 0, length: 0 }
export const list = {
  epoch: 1,
  bucket: 0,
  slots: Buffer.alloc(128, 0xff),
  prefix: Buffer.alloc(0),
  after: Buffer.alloc(0),
  limit: 1_000,
  acceptHoles: false,
}
