import { signToken } from '../../protocol/model/token.ts'

/**
 * A token is signed for each connection, so it only has to be valid for the hello; but on machines whose clocks may be an hour apart, as with a wrong time
 * zone.
 */
const CLUSTER_TOKEN_SECONDS = 2 * 3600

/** The token with which planes authenticate to one another. */
export function clusterToken(secret: Buffer, wallMs: number): Buffer {
  const expiresSeconds = Math.floor(wallMs / 1000) + CLUSTER_TOKEN_SECONDS
  return signToken(secret, { job: '', read: true, write: true, expiresSeconds })
}
