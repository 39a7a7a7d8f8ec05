import type { MayflyError } from '../../protocol/errors.ts'
import { EXPIRY_CHECK_MS_MAX, NONCE_BYTES } from '../../protocol/limits.ts'
import { type Claims, expired } from '../../protocol/model/token.ts'
import type { hello, renew } from '../../protocol/operations/control-operations.ts'
import type { ReplyOf, RequestOf } from '../../protocol/operations/operation.ts'
import type { Runtime, Timer } from '../../protocol/runtime.ts'
import { type Credentials, verifyHello, verifyRenewal, welcome } from '../process/credentials.ts'
import type { Resume } from './peer.ts'

interface GateOptions {
  readonly secret: Buffer
  readonly runtime: Runtime
  /** The token has expired without a renewal. */
  readonly onExpired: (error: MayflyError) => void
}

/** The rights of one connection, and until when. */
export class Gate {
  /** The challenge of the connection. */
  readonly nonce: Buffer
  readonly #options: GateOptions
  #credentials: Credentials | null = null
  #expiry: Timer | null = null

  constructor(options: GateOptions) {
    this.#options = options
    this.nonce = options.runtime.random.bytes(NONCE_BYTES)
  }

  /** Throws as `verifyHello`. */
  admit(request: RequestOf<typeof hello>): Claims {
    return this.#trust(verifyHello(request, this.nonce, this.#judge()))
  }

  /** Throws as `verifyRenewal`, with nothing changed. */
  renew(request: RequestOf<typeof renew>): Claims {
    return this.#trust(verifyRenewal(request, this.#credentials as Credentials, this.#judge()))
  }

  /** How the client resumes its session. */
  resumed({ resume, mutations }: RequestOf<typeof hello>): Resume {
    return { nonce: this.nonce.toString('hex'), resume: resume.map(hexOf), mutations }
  }

  welcome(server: string, session: string): ReplyOf<typeof hello> {
    const fields = { server, session: Buffer.from(session, 'hex') }
    return welcome(this.#credentials as Credentials, fields)
  }

  close(): void {
    this.#expiry?.cancel()
  }

  #judge(): { secret: Buffer; wallMs: number } {
    const { secret, runtime } = this.#options
    return { secret, wallMs: runtime.clock.wallMs() }
  }

  #trust(credentials: Credentials): Claims {
    const { claims } = credentials
    this.#credentials = credentials
    this.#watchExpiry(claims)
    return claims
  }

  /**
   * Planes sign their tokens for each connection, from a secret that they know themselves: they do not expire
   * here.
   */
  #watchExpiry(claims: Claims): void {
    const { runtime, onExpired } = this.#options
    this.#expiry?.cancel()
    if (claims.job === '') return
    const leftMs = claims.expiresSeconds * 1000 - runtime.clock.wallMs()
    if (leftMs <= 0) return onExpired(expired(claims))
    this.#expiry = runtime.clock.after(Math.min(leftMs, EXPIRY_CHECK_MS_MAX), () => this.#watchExpiry(claims))
    this.#expiry.unref()
  }
}

function hexOf(nonce: Uint8Array): string {
  return Buffer.from(nonce).toString('hex')
}
