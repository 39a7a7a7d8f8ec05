import { answeredError, errorTable, MayflyError } from '../errors.ts'
import { NONCE_BYTES, PROTOCOL_VERSION } from '../limits.ts'
import { partsOfToken } from '../model/token.ts'
import { challenge, hello, type renew } from '../operations/control-operations.ts'
import type { RequestOf } from '../operations/operation.ts'
import type { Random } from '../runtime.ts'
import { errorReply } from '../wire/error-reply.ts'
import type { Frame } from '../wire/frame.ts'
import { Reader, violation } from '../wire/reader.ts'
import { helloProof, isProof, renewProof, welcomeProof } from './proof.ts'
import type { SessionTrail } from './session-trail.ts'

interface GreetingOptions {
  readonly token: Uint8Array
  readonly trail: SessionTrail
  readonly random: Random
}

/** The client side of the handshake: the server's challenge, the hello, and its answer. */
export class Greeting {
  readonly #options: GreetingOptions
  #nonce: Uint8Array | null = null
  /** Proof of the hello; empty before it is sent. */
  #proof: Uint8Array = new Uint8Array(0)

  constructor(options: GreetingOptions) {
    this.#options = options
  }

  /**
   * The hello that answers the challenge. Throws `PROTOCOL_VIOLATION` if the frame is no challenge, and `TLS_FAILED` if the server answers
   * that it speaks TLS.
   */
  answer(frame: Frame): RequestOf<typeof hello> {
    const { protocol, nonce } = challengeOf(frame)
    if (protocol !== PROTOCOL_VERSION) {
      throw violation(
        `the server speaks version ${protocol} of the protocol, this client ${PROTOCOL_VERSION}`,
      )
    }
    if (nonce.length !== NONCE_BYTES)
      throw violation(`a challenge has ${NONCE_BYTES} bytes, not ${nonce.length}`)
    const { token, trail, random } = this.#options
    const { claims, mac } = partsOfToken(token)
    const own = random.bytes(NONCE_BYTES)
    const fields = {
      protocol: PROTOCOL_VERSION,
      claims,
      nonce: own,
      resume: [...trail.answered],
      mutations: trail.mutations,
    }
    trail.answers(nonce)
    this.#nonce = nonce
    this.#proof = helloProof(mac, nonce, fields)
    return { ...fields, proof: this.#proof }
  }

  get answered(): boolean {
    return this.#nonce !== null
  }

  /**
   * The server's identity, once it has proved that it knows the token's MAC. Throws the error with which the
   * server refused the hello, and `CONNECTION_LOST` otherwise: another process may have the address.
   */
  welcome(frame: Frame): { server: string; session: string } {
    const reader = new Reader().reset(frame.headMemory, frame.headStart, frame.headBytes)
    if (frame.kind !== 0) throw answeredError(frame.kind, errorReply.read(reader).reason)
    const { token, trail } = this.#options
    const { proof, ...fields } = hello.reply.read(reader)
    reader.finish()
    if (!isProof(proof, welcomeProof(partsOfToken(token).mac, this.#proof, fields)))
      throw new MayflyError('CONNECTION_LOST', 'The server did not prove that it belongs to the cluster')
    const session = Buffer.from(fields.session).toString('hex')
    trail.confirmed(this.#nonce as Uint8Array, session)
    return { server: fields.server, session }
  }

  /** Proves that this client knows the MAC of another token too. */
  renewal(token: Uint8Array): RequestOf<typeof renew> {
    const { claims, mac } = partsOfToken(token)
    return { claims, proof: renewProof(mac, this.#proof, claims) }
  }
}

function challengeOf(frame: Frame): RequestOf<typeof challenge> {
  const reader = new Reader().reset(frame.headMemory, frame.headStart, frame.headBytes)
  if (frame.kind === errorTable.TLS_FAILED.wire)
    throw answeredError(frame.kind, errorReply.read(reader).reason)
  if (frame.kind !== challenge.number) throw violation('a connection does not begin with a challenge')
  const fields = challenge.request.read(reader)
  reader.finish()
  return fields
}
