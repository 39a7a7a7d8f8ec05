import { createHmac } from 'node:crypto'
import { MayflyError } from '../errors.ts'
import { bytes, encode, flag, struct, text, u8, u32, type ValueOf } from '../wire/codec.ts'
import { Reader } from '../wire/reader.ts'

/**
 * A token grants access to one job, or to everything if `job` is empty (between planes). It consists of the
 * claims and their HMAC-SHA256 under the cluster's secret.
 */
export type Claims = ValueOf<typeof claimsCodec>

const TOKEN_VERSION = 2
const MAC_BYTES = 32

/** `prefix` restricts it to keys that begin with it, in every bucket. */
const claimsCodec = struct({
  version: u8,
  job: text,
  read: flag,
  write: flag,
  expiresSeconds: u32,
  prefix: bytes,
})

/** The prefix of a token for all keys. */
const EVERY_KEY: Uint8Array = new Uint8Array(0)

/** The rights of a new token; all keys if no prefix is named. */
export type Granted = Omit<Claims, 'version' | 'prefix'> & Partial<Pick<Claims, 'prefix'>>

/** `expiresSeconds` counts from the Unix epoch. */
export function signToken(secret: Buffer, claims: Granted): Buffer {
  const body = encode(claimsCodec, { version: TOKEN_VERSION, prefix: EVERY_KEY, ...claims })
  return Buffer.concat([body, macOf(secret, body)])
}

/** The encoded claims of a token, and its secret MAC. */
export function partsOfToken(token: Uint8Array): { claims: Uint8Array; mac: Uint8Array } {
  const end = Math.max(0, token.length - MAC_BYTES)
  return { claims: token.subarray(0, end), mac: token.subarray(end) }
}

/** The claims of a token whose MAC was verified. Throws `TICKET_EXPIRED`. */
export function readClaims(encoded: Uint8Array, wallMs: number): Claims {
  const reader = new Reader(Buffer.from(encoded))
  // The reader returns views of a copy that nothing overwrites.
  const claims = claimsCodec.read(reader)
  reader.finish()
  if (claims.expiresSeconds * 1000 <= wallMs) throw expired(claims)
  return claims
}

export function expired({ expiresSeconds }: Claims): MayflyError {
  return new MayflyError(
    'TICKET_EXPIRED',
    `The ticket expired at ${new Date(expiresSeconds * 1000).toISOString()}`,
  )
}

export function macOf(secret: Buffer, claims: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(claims).digest()
}
