import type { FastifyRequest } from 'fastify'
import { MayflyError } from '../../protocol/errors.ts'
import { verifyToken } from '../../protocol/model/token.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Caller, Keys } from '../access/keys.ts'
import type { Job } from '../records/job.ts'
import type { Role } from '../records/roles.ts'

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

/** Admits only the cluster's own processes. Throws `UNAUTHENTICATED`, or `FORBIDDEN` for the token of a job. */
export function requireClusterToken(request: FastifyRequest, of: { secret: Buffer; clock: Clock }): void {
  const token = Buffer.from(keyOf(request), 'base64url')
  const { job } = verifyToken(of.secret, token, of.clock.wallMs())
  if (job !== '') throw new MayflyError('FORBIDDEN', 'A job ticket grants no access to the control plane')
}

/** The API key of a request, or the token of another process; empty where there is none. */
export function keyOf({ headers }: FastifyRequest): string {
  const [, token] = /^bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  return token ?? ''
}
