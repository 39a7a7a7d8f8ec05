import { createHmac, timingSafeEqual } from 'node:crypto'
import { helloFields, welcomeFields } from '../operations/control-operations.ts'
import { encode, type ValueOf } from '../wire/codec.ts'

/**
 * Both ends of a connection know the MAC of the client's token: the client from its ticket, the server from
 * the claims and the cluster's secret. Each proves it over data that the other has chosen, so the MAC itself
 * never travels.
 */

const PROOF_BYTES = 32

/** The client's, over the server's nonce and all fields of its hello. */
export function helloProof(mac: Uint8Array, nonce: Uint8Array, fields: ValueOf<typeof helloFields>): Buffer {
  return prove(mac, 'mayfly hello', nonce, encode(helloFields, fields))
}

/** The server's, over the client's proof and all fields of its answer. */
export function welcomeProof(
  mac: Uint8Array,
  proofOfHello: Uint8Array,
  fields: ValueOf<typeof welcomeFields>,
): Buffer {
  return prove(mac, 'mayfly welcome', proofOfHello, encode(welcomeFields, fields))
}

/** The client's, with the MAC of its next token, over the proof of its hello and the claims. */
export function renewProof(mac: Uint8Array, proofOfHello: Uint8Array, claims: Uint8Array): Buffer {
  return prove(mac, 'mayfly renew', proofOfHello, claims)
}

/** In constant time. */
export function isProof(given: Uint8Array, expected: Buffer): boolean {
  return given.length === PROOF_BYTES && timingSafeEqual(given, expected)
}

function prove(mac: Uint8Array, what: string, nonce: Uint8Array, fields: Uint8Array): Buffer {
  return createHmac('sha256', mac).update(what).update(nonce).update(fields).digest()
}
