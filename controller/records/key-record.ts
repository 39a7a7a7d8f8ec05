import type { Quota } from './quota.ts'
import type { Role } from './roles.ts'

/** An API key that was made by the API, as it is stored; the key itself is not. */
export interface KeyRecord {
  readonly name: string
  readonly role: Role
  /** SHA-256 in hex. A key has 256 random bits, so a slow hash is not needed. */
  readonly digest: string
  /** After a rotation the previous key is accepted until then, in ms since the Unix epoch. */
  readonly previous: { readonly digest: string; readonly untilMs: number } | null
  readonly limits: Quota
  readonly createdAtMs: number
  readonly rotatedAtMs: number | null
}
