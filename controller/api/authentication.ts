import type { FastifyRequest } from 'fastify'
import { MayflyError } from '../../protocol/errors.ts'
import {
  NONCE_HEADER,
  PROOF_HEADER,
  SignatureCheck,
  type SignedRequest,
} from '../../service/reporting/signed-requests.ts'
import type { Caller, Keys } from '../access/keys.ts'
import type { Job } from '../records/job.ts'
import type { Role } from '../records/roles.ts'
import type { Api } from './routes/api.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The owner and role of the request's API key. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** Roles that may use the route; the default is `admin` alone. */
    readonly roles?: readonly Role[]
  }
}

export const forAll = { roles: ['admin', 'driver', 'viewer'] } as const
export const forDrivers = { roles: ['admin', 'driver'] } as const
export const forViewers = { roles: ['admin', 'viewer'] } as const
const forAdmins: readonly Role[] = ['admin']

/** Stores the caller of a request. Throws `UNAUTHENTICATED`. */
export function requireKey(request: FastifyRequest, keys: Keys): void {
  const caller = keys.find(keyOf(request))
  if (caller === null)
    throw new MayflyError('UNAUTHENTICATED', 'The API key is missing or not one of this cluster')
  request.caller = caller
}

/** Throws `FORBIDDEN` if the caller's role may not use the route. */
export function requireRole({ caller, routeOptions }: FastifyRequest): void {
  const { roles = forAdmins } = routeOptions.config
  if (roles.includes(caller.role)) return
  throw new MayflyError(
    'FORBIDDEN',
    `API key '${caller.name}' has the role ${caller.role}, and this takes ${roles.join(' or ')}`,
  )
}

/** Whether a caller may access a job: a driver may access only its own jobs. */
export function reaches({ name, role }: Caller, { owner }: Pick<Job, 'owner'>): boolean {
  return role !== 'driver' || owner === name
}

/**
 * Admits only requests that a process of the cluster has signed, each once, and proves each answer. A body is read
 * only after the head was verified. Throws `UNAUTHENTICATED`.
 */
export function requireSignatures(scope: Api, secret: Buffer): void {
  const check = new SignatureCheck(secret)
  const admitted = new WeakMap<FastifyRequest, SignedRequest>()
  const verified = new WeakSet<FastifyRequest>()
  scope.addHook('onRequest', async (request, reply) => {
    const signed = check.admit(request.headers.authorization ?? '', request.url)
    if (signed !== null) return void admitted.set(request, signed)
    reply.header(NONCE_HEADER, check.nonce())
    throw unsigned()
  })
  const parse = scope.getDefaultJsonParser('ignore', 'ignore')
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (!admitted.get(request)?.isBody(body as Buffer)) return done(unsigned())
    verified.add(request)
    void parse(request, body.toString(), done)
  })
  scope.addHook('preValidation', async (request) => {
    if (!verified.has(request)) throw unsigned()
  })
  scope.addHook('onSend', async (request, reply, payload) => {
    const signed = admitted.get(request)
    if (signed === undefined) return
    const body = typeof payload === 'string' ? payload : ''
    reply.header(PROOF_HEADER, check.prove(signed, { status: reply.statusCode, body }))
  })
}

function unsigned(): MayflyError {
  return new MayflyError('UNAUTHENTICATED', 'The request was not signed by a process of this cluster')
}

/** The API key of a request; empty where there is none. */
export function keyOf({ headers }: FastifyRequest): string {
  const [, token] = /^bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  return token ?? ''
}
