import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { MayflyError } from '../protocol/errors.ts'
import type { Clock } from '../protocol/runtime.ts'
import { verifyToken } from '../protocol/token.ts'
import type { ApiKey } from './quota.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the API key that it came with. */
    owner: string
  }
}

/** Checks requests for one of these keys. */
export class ApiKeys {
  readonly #digests: readonly { readonly name: string; readonly digest: Buffer }[]

  constructor(keys: readonly Pick<ApiKey, 'name' | 'key'>[]) {
    this.#digests = keys.map(({ name, key }) => ({ name, digest: digest(key) }))
  }

  /**
   * Notes whose key a request has. Throws `UNAUTHENTICATED`. Hashes are compared, all of them, so that the time tells
   * nothing of a key, nor of its length.
   */
  require(request: FastifyRequest): void {
    const given = digest(bearerOf(request))
    const [found] = this.#digests.filter((known) => timingSafeEqual(known.digest, given))
    if (found === undefined) {
      throw new MayflyError('UNAUTHENTICATED', 'The API key is missing or not one of this cluster')
    }
    request.owner = found.name
  }
}

/** Lets only the cluster's own processes pass. Throws `UNAUTHENTICATED`, or `FORBIDDEN` for a job's token. */
export function requireClusterToken(request: FastifyRequest, of: { secret: Buffer; clock: Clock }): void {
  const token = Buffer.from(bearerOf(request), 'base64url')
  const { job } = verifyToken(of.secret, token, of.clock.wallMs())
  if (job !== '') throw new MayflyError('FORBIDDEN', 'A job ticket grants no access to the control plane')
}

function bearerOf({ headers }: FastifyRequest): string {
  const [, token] = /^bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  return token ?? ''
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
