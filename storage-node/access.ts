import { MayflyError } from '../protocol/errors.ts'
import type { Claims } from '../protocol/model/token.ts'

/** The keys of a request. */
export interface Asked {
  readonly key?: Uint8Array
  readonly keys?: readonly Uint8Array[]
}

/** Throws `FORBIDDEN` unless the ticket grants the right for the keys. */
export function requireRight(claims: Claims, right: 'read' | 'write', asked: Asked): void {
  if (claims.job === '')
    throw new MayflyError('FORBIDDEN', 'Objects are reached with the ticket of their job')
  if (!claims[right]) throw new MayflyError('FORBIDDEN', `The ticket grants no right to ${right}`)
  if (claims.prefix.length === 0) return
  if (asked.key !== undefined) requirePrefix(claims, asked.key)
  for (const key of asked.keys ?? []) requirePrefix(claims, key)
}

/**
 * The prefix to list: the intersection of the requested and the granted one. Throws `FORBIDDEN` if that is
 * empty.
 */
export function listedPrefix({ prefix: granted }: Claims, asked: Uint8Array): Uint8Array {
  if (beginsWith(asked, granted)) return asked
  if (beginsWith(granted, asked)) return granted
  throw forbidden(granted)
}

function requirePrefix({ prefix }: Claims, key: Uint8Array): void {
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
