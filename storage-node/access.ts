import { MayflyError } from '../protocol/errors.ts'
import type { Claims } from '../protocol/model/token.ts'

/** What a request is about. */
export interface Asked {
  readonly key?: Uint8Array
  readonly keys?: readonly Uint8Array[]
}

/** Throws `FORBIDDEN` where a ticket does not grant the right, or not for the keys. */
export function requireRight(claims: Claims, right: 'read' | 'write', asked: Asked): void {
  if (claims.job === '')
    throw new MayflyError('FORBIDDEN', 'Objects are reached with the ticket of their job')
  if (!claims[right]) throw new MayflyError('FORBIDDEN', `The ticket grants no right to ${right}`)
  if (claims.prefix.length === 0) return
  if (asked.key !== undefined) requirePrefix(claims, asked.key)
  for (const key of asked.keys ?? []) requirePrefix(claims, key)
}

/**
 * The prefix to list by: what is asked for, as far as the ticket grants it. Throws `FORBIDDEN` where these have no key in
 * common.
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
