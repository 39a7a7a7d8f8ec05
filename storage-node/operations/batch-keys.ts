import { MANY_KEYS_MAX } from '../../protocol/limits.ts'
import { checkKey, checkKeyRange } from '../../protocol/model/keys.ts'
import { ByteColumn, type ByteStrings } from '../../protocol/wire/columns.ts'
import { violation } from '../../protocol/wire/reader.ts'

/** Memory of one copied key besides its bytes: a `Buffer` object. */
const COPIED_KEY_BYTES = 200

/** Throws `BAD_REQUEST` or `PROTOCOL_VIOLATION`. */
export function checkKeys(keys: ByteStrings): void {
  checkCount(keys)
  if (!(keys instanceof ByteColumn)) for (const key of keys) checkKey(key)
  else
    for (let at = 0; at < keys.length; at++)
      checkKeyRange(keys.memory, keys.starts[at] as number, keys.bytesAt(at))
}

export function checkCount(keys: ByteStrings): void {
  if (keys.length > MANY_KEYS_MAX) throw violation(`a message names more than ${MANY_KEYS_MAX} keys`)
}

/** A copy of a batched request that outlives its message. */
export function copyKeys<Request extends { readonly keys: ByteStrings }>(
  request: Request,
): Request & { readonly keys: readonly Uint8Array[] } {
  return { ...request, keys: Array.from(request.keys, (key) => Buffer.from(key)) }
}

/** Memory of such a copy: each key's bytes and its JavaScript object. */
export function requestBytes({ keys }: { readonly keys: readonly Uint8Array[] }): number {
  return keys.reduce((sum, key) => sum + key.length + COPIED_KEY_BYTES, 0)
}
