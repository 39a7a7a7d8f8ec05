import { type Claims, macOf, partsOfToken, readClaims } from './token.ts'

/**
 * The credentials of an S3 client. They follow from a token: the access key id is its claims and the secret is its
 * MAC, so that nobody has to store them, and whoever knows the cluster's secret can check a signature.
 */
export interface S3Key {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export function s3KeyOf(token: Uint8Array): S3Key {
  const { claims, mac } = partsOfToken(token)
  return { accessKeyId: encode(claims), secretAccessKey: encode(mac) }
}

/** The claims in an access key id, which may have expired and are proved by nothing; null if it has none. */
export function claimsOfAccessKey(accessKeyId: string): { claims: Claims; encoded: Buffer } | null {
  const encoded = Buffer.from(accessKeyId, 'base64url')
  if (encode(encoded) !== accessKeyId) return null
  try {
    const claims = readClaims(encoded, 0)
    // The token of a plane is for every job; it is no access key.
    return claims.job === '' ? null : { claims, encoded }
  } catch {
    return null
  }
}

/** The secret that belongs to the claims of an access key id. */
export function secretOfClaims(clusterSecret: Buffer, encoded: Uint8Array): string {
  return encode(macOf(clusterSecret, encoded))
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
