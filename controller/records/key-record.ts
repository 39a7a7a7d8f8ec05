import type { Quota } from './quota.ts'
import type { Role } from './roles.ts'

/** An API key that was made by the API, as it stands in the store: the key itself is shown once and not kept. */
export interface KeyRecord {
  readonly name: string
  readonly role: Role
  /** SHA-256, in hex. A key has 256 random bits, so that no slower hash is needed. */
  readonly digest: string
  /** After a rotation the key before is taken until then, in ms since the Unix epoch. */
  readonly previous: { readonly digest: string; readonly untilMs: number } | null
  readonly limits: Quota
  readonly createdAtMs: number
  readonly rotatedAtMs: number | null
}
