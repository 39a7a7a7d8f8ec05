import type { FastifyRequest } from 'fastify'
import { MayflyError } from '../../protocol/errors.ts'
import { verifyToken } from '../../protocol/model/token.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Caller, Keys } from '../access/keys.ts'
import type { Job } from '../records/job.ts'
import type { Role } from '../records/roles.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose API key it came with. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** Who may ask for the route; `admin` alone where it is not said. */
    readonly roles?: readonly Role[]
  }
}

export const forAll = { roles: ['admin', 'driver', 'viewer'] } as const
export const forDrivers = { roles: ['admin', 'driver'] } as const
export const forViewers = { roles: ['admin', 'viewer'] } as const
const forAdmins: readonly Role[] = ['admin']

/** Notes whose key a request has. Throws `UNAUTHENTICATED`. */
export function requireKey(request: FastifyRequest, keys: Keys): void {
  const caller = keys.find(bearerOf(request))
  if (caller === null)
    throw new MayflyError('UNAUTHENTICATED', 'The API key is missing or not one of this cluster')
  request.caller = caller
}

/** Throws `FORBIDDEN` where the role of the key does not reach the route. */
export function requireRole({ caller, routeOptions }: FastifyRequest): void {
  const { roles = forAdmins } = routeOptions.config
  if (roles.includes(caller.role)) return
  throw new MayflyError(
    'FORBIDDEN',
    `API key '${caller.name}' has the role ${caller.role}, and this takes ${roles.join(' or ')}`,
  )
}

/** Whether a key reaches a job: a driver reaches its own alone. */
export function reaches({ name, role }: Caller, { owner }: Pick<Job, 'owner'>): boolean {
  return role !== 'driver' || owner === name
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
