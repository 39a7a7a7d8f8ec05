import { MayflyError } from '../protocol/errors.ts'
import type { Claims } from '../protocol/model/token.ts'
import { requirePrefix } from '../service/server/granted-keys.ts'

/** The keys of a request. */
export interface Asked {
  readonly key?: Uint8Array
  readonly keys?: Iterable<Uint8Array>
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
