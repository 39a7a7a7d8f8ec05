import { createHmac, timingSafeEqual } from 'node:crypto'
import { flag, struct, text, u8, u32, type ValueOf } from './codec.ts'
import { MayflyError } from './errors.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/**
 * A token grants access to one job, or with an empty `job` to everything (the planes among themselves). It is
 * the claims followed by their HMAC-SHA256 under the cluster's secret.
 */
export type Claims = ValueOf<typeof claimsCodec>

const TOKEN_VERSION = 1
const MAC_BYTES = 32

const claimsCodec = struct({ version: u8, job: text, read: flag, write: flag, expiresSeconds: u32 })

/** `expiresSeconds` counts from the Unix epoch. */
export function signToken(secret: Buffer, claims: Omit<Claims, 'version'>): Buffer {
  const writer = new Writer()
  claimsCodec.write(writer, { version: TOKEN_VERSION, ...claims })
  const body = writer.take()
  return Buffer.concat([body, macOf(secret, body)])
}

/** Throws `UNAUTHENTICATED` for what this cluster did not sign, `TICKET_EXPIRED` for what it did, too long ago. */
export function verifyToken(secret: Buffer, token: Buffer, wallMs: number): Claims {
  const body = token.subarray(0, Math.max(0, token.length - MAC_BYTES))
  const mac = token.subarray(body.length)
  if (mac.length !== MAC_BYTES || !timingSafeEqual(mac, macOf(secret, body))) {
    throw new MayflyError('UNAUTHENTICATED', 'The token was not signed by this cluster')
  }
  const reader = new Reader(body)
  const claims = claimsCodec.read(reader)
  reader.finish()
  if (claims.expiresSeconds * 1000 <= wallMs) {
    throw new MayflyError(
      'TICKET_EXPIRED',
      `The ticket expired at ${new Date(claims.expiresSeconds * 1000).toISOString()}`,
    )
  }
  return claims
}

function macOf(secret: Buffer, body: Buffer): Buffer {
  return createHmac('sha256', secret).update(body).digest()
}
