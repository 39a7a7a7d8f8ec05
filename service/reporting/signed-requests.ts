import { createHash, createHmac, randomBytes } from 'node:crypto'
import { isProof } from '../../protocol/transport/proof.ts'

/**
 * Requests of a cluster's processes to its controller. Each is signed with a key that is derived from the cluster's
 * secret, over a nonce of the controller as in digest authentication (RFC 7616), and so is its answer. The secret
 * never travels, a request that was recorded is refused when it comes again, and what answers on the port of a
 * controller that is gone is not believed.
 */

/** Header of the answer that refuses a request without a valid nonce. */
export const NONCE_HEADER = 'mayfly-nonce'
/** Header of all other answers. */
export const PROOF_HEADER = 'mayfly-proof'

const NONCE_BYTES = 16
/** Requests of one process may overtake so many others. */
const OVERTAKEN_MAX = 256
/** Processes that a controller knows. If there are more, all begin with a new nonce. */
const PROCESSES_MAX = 16_384
const SCHEME = /^mayfly ([\w-]+)\.([1-9]\d{0,14})\.([\w-]+)\.([\w-]+)$/i

interface Fields {
  readonly nonce: string
  readonly sequence: string
  readonly path: string
  /** SHA-256, base64url. */
  readonly body: string
}

/** The caller's side, for one controller. */
export class RequestSigner {
  readonly #key: Buffer
  #nonce = 'none'
  #sequence = 0

  constructor(secret: Buffer) {
    this.#key = keyOf(secret)
  }

  /** The `authorization` header of a POST, and the test of its answer. */
  sign(path: string, body: string): { header: string; isAnswer: (answer: Answer) => boolean } {
    const sequence = String(++this.#sequence)
    const fields = { nonce: this.#nonce, sequence, path, body: hashOf(body) }
    const proof = proofOfRequest(this.#key, fields)
    const header = `Mayfly ${fields.nonce}.${sequence}.${fields.body}.${proof.toString('base64url')}`
    return {
      header,
      isAnswer: (answer) =>
        isProof(Buffer.from(answer.proof, 'base64url'), proofOfAnswer(this.#key, proof, answer)),
    }
  }

  /** Continues with a nonce that the controller gave. */
  adopt(nonce: string): void {
    this.#nonce = nonce
    this.#sequence = 0
  }
}

interface Answer {
  /** `PROOF_HEADER`; empty if the answer has none. */
  readonly proof: string
  readonly status: number
  readonly body: string
}

/** A request whose head was verified. */
export interface SignedRequest {
  readonly proof: Buffer
  /** Whether this is the body that was signed. */
  isBody(body: Uint8Array): boolean
}

/** The controller's side. */
export class SignatureCheck {
  readonly #key: Buffer
  #nonceKey = randomBytes(NONCE_BYTES)
  /** By nonce: the highest sequence of each residue class. */
  readonly #seen = new Map<string, Float64Array>()

  constructor(secret: Buffer) {
    this.#key = keyOf(secret)
  }

  /** A nonce takes memory only once a process of the cluster has used it. */
  nonce(): string {
    const random = randomBytes(NONCE_BYTES)
    return Buffer.concat([random, this.#macOf(random)]).toString('base64url')
  }

  /** Null if no process of this cluster has signed the request, it has come before, or its nonce is not one of this controller. */
  admit(authorization: string, path: string): SignedRequest | null {
    const [, nonce = '', sequence = '', body = '', given = ''] = SCHEME.exec(authorization) ?? []
    const proof = proofOfRequest(this.#key, { nonce, sequence, path, body })
    if (!isProof(Buffer.from(given, 'base64url'), proof) || !this.#isFresh(nonce, Number(sequence)))
      return null
    return { proof, isBody: (bytes) => hashOf(bytes) === body }
  }

  /** The value of `PROOF_HEADER`. */
  prove(request: SignedRequest, answer: Omit<Answer, 'proof'>): string {
    return proofOfAnswer(this.#key, request.proof, answer).toString('base64url')
  }

  #isFresh(nonce: string, sequence: number): boolean {
    const seen = this.#seen.get(nonce) ?? this.#begin(nonce)
    const at = sequence % OVERTAKEN_MAX
    if (seen === null || sequence <= (seen[at] as number)) return false
    seen[at] = sequence
    return true
  }

  #begin(nonce: string): Float64Array | null {
    const bytes = Buffer.from(nonce, 'base64url')
    const random = bytes.subarray(0, NONCE_BYTES)
    if (!bytes.subarray(NONCE_BYTES).equals(this.#macOf(random))) return null
    if (this.#seen.size >= PROCESSES_MAX) {
      this.#seen.clear()
      this.#nonceKey = randomBytes(NONCE_BYTES)
      return null
    }
    const seen = new Float64Array(OVERTAKEN_MAX)
    this.#seen.set(nonce, seen)
    return seen
  }

  #macOf(random: Uint8Array): Buffer {
    return createHmac('sha256', this.#nonceKey).update(random).digest()
  }
}

function keyOf(secret: Buffer): Buffer {
  return createHmac('sha256', secret).update('mayfly requests to the controller').digest()
}

function proofOfRequest(key: Buffer, { nonce, sequence, path, body }: Fields): Buffer {
  return createHmac('sha256', key).update(`request\n${nonce}\n${sequence}\n${path}\n${body}`).digest()
}

function proofOfAnswer(key: Buffer, request: Buffer, { status, body }: Omit<Answer, 'proof'>): Buffer {
  return createHmac('sha256', key).update(`answer\n${status}\n`).update(request).update(body).digest()
}

function hashOf(body: string | Uint8Array): string {
  return createHash('sha256').update(body).digest('base64url')
}
