import { signToken } from '../../protocol/model/token.ts'

/**
 * A token is signed for each connection, so it only has to be valid for the hello, on machines with different
 * clocks.
 */
const CLUSTER_TOKEN_SECONDS = 600

/** The token with which planes authenticate to one another. */
export function clusterToken(secret: Buffer, wallMs: number): Buffer {
  const expiresSeconds = Math.floor(wallMs / 1000) + CLUSTER_TOKEN_SECONDS
  return signToken(secret, { job: '', read: true, write: true, expiresSeconds })
}
