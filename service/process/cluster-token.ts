import { signToken } from '../../protocol/model/token.ts'

/** Signed afresh for each connection, so it only has to outlive the hello on a machine whose clock is off. */
const CLUSTER_TOKEN_SECONDS = 600

/** The token by which the planes know one another. */
export function clusterToken(secret: Buffer, wallMs: number): Buffer {
  const expiresSeconds = Math.floor(wallMs / 1000) + CLUSTER_TOKEN_SECONDS
  return signToken(secret, { job: '', read: true, write: true, expiresSeconds })
}
