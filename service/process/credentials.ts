import { MayflyError } from '../../protocol/errors.ts'
import { NONCE_BYTES, PROTOCOL_VERSION, RESUME_MAX } from '../../protocol/limits.ts'
import { type Claims, macOf, readClaims } from '../../protocol/model/token.ts'
import type { hello, renew } from '../../protocol/operations/control-operations.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import { helloProof, isProof, renewProof, welcomeProof } from '../../protocol/transport/proof.ts'
import { violation } from '../../protocol/wire/reader.ts'

/** The rights that a connection's client has proved, and what the server proves itself with. */
export interface Credentials {
  readonly claims: Claims
  readonly mac: Buffer
  /** Of the hello; later proofs on the connection are bound to it. */
  readonly proof: Uint8Array
}

interface Judge {
  readonly secret: Buffer
  readonly wallMs: number
}

/**
 * Checked before the rest of a hello is read, whose encoding depends on the version. Throws
 * `PROTOCOL_VIOLATION`.
 */
export function checkVersion(protocol: number): void {
  if (protocol === PROTOCOL_VERSION) return
  throw violation(`the client speaks version ${protocol} of the protocol, this server ${PROTOCOL_VERSION}`)
}

/**
 * Verifies the hello that answers the challenge `nonce`. Throws `PROTOCOL_VIOLATION`, `UNAUTHENTICATED` for a
 * client that does not know the MAC of its claims, and `TICKET_EXPIRED`.
 */
export function verifyHello(
  { proof, ...fields }: RequestOf<typeof hello>,
  nonce: Uint8Array,
  { secret, wallMs }: Judge,
): Credentials {
  const { claims, resume } = fields
  const isShaped = [fields.nonce, ...resume].every(({ length }) => length === NONCE_BYTES)
  if (!isShaped) throw violation(`a nonce has ${NONCE_BYTES} bytes`)
  if (resume.length > RESUME_MAX) throw violation(`a hello names more than ${RESUME_MAX} challenges`)
  const mac = macOf(secret, claims)
  if (!isProof(proof, helloProof(mac, nonce, fields))) throw unproved()
  return { claims: readClaims(claims, wallMs), mac, proof }
}

/** The answer to a hello: proves that the server knows the MAC. */
export function welcome(
  { mac, proof }: Credentials,
  fields: { server: string; session: Uint8Array },
): { server: string; session: Uint8Array; proof: Uint8Array } {
  return { ...fields, proof: welcomeProof(mac, proof, fields) }
}

/**
 * The rights of the connection from here on. Throws as `verifyHello`, and `FORBIDDEN` for a token of another
 * job.
 */
export function verifyRenewal(
  { claims: encoded, proof }: RequestOf<typeof renew>,
  before: Credentials,
  { secret, wallMs }: Judge,
): Credentials {
  const mac = macOf(secret, encoded)
  if (!isProof(proof, renewProof(mac, before.proof, encoded))) throw unproved()
  const claims = readClaims(encoded, wallMs)
  if (claims.job === before.claims.job) return { claims, mac, proof: before.proof }
  throw new MayflyError('FORBIDDEN', `This connection is one of job '${before.claims.job}'`)
}

function unproved(): MayflyError {
  return new MayflyError('UNAUTHENTICATED', 'The client does not have a token that this cluster signed')
}
