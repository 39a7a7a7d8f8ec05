import { MayflyError } from '../../protocol/errors.ts'
import type { Claims } from '../../protocol/model/token.ts'

/**
 * The prefix to list: the intersection of the requested and the granted one. Throws `FORBIDDEN` if that is
 * empty.
 */
export function listedPrefix({ prefix: granted }: Claims, asked: Uint8Array): Uint8Array {
  if (beginsWith(asked, granted)) return asked
  if (beginsWith(granted, asked)) return granted
  throw forbidden(granted)
}

/** Throws `FORBIDDEN` unless the ticket grants the key. */
export function requirePrefix({ prefix }: Claims, key: Uint8Array): void {
  if (!beginsWith(key, prefix)) throw forbidden(prefix)
}

function forbidden(prefix: Uint8Array): MayflyError {
  return new MayflyError(
    'FORBIDDEN',
    `The ticket grants keys that begin with '${Buffer.from(prefix).toString()}' alone`,
  )
}

function beginsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return key.length >= prefix.length && Buffer.compare(key.subarray(0, prefix.length), prefix) === 0
}
