import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { MayflyError } from '../protocol/errors.ts'
import type { Clock } from '../protocol/runtime.ts'
import { verifyToken } from '../protocol/token.ts'

/** Throws `UNAUTHENTICATED`. Hashes are compared, so that the time tells nothing of the key, nor of its length. */
export function requireApiKey(request: FastifyRequest, apiKey: string): void {
  if (!timingSafeEqual(digest(bearerOf(request)), digest(apiKey))) {
    throw new MayflyError('UNAUTHENTICATED', 'The API key is missing or not that of this cluster')
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
