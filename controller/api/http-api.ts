import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { type FastifyRequest, fastify } from 'fastify'
import { MayflyError } from '../../protocol/errors.ts'
import { CONNECTIONS_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Logger } from '../../service/process/log.ts'
import type { Keys } from '../access/keys.ts'
import { HTTP_BODY_BYTES_MAX, HTTP_CHECK_MS, HTTP_REQUEST_MS_MAX } from '../limits.ts'
import { forAll, requireClusterToken, requireKey, requireRole } from './authentication.ts'
import { answerClientFault } from './client-faults.ts'
import { answerFailure } from './error-handler.ts'
import { noteMethods } from './other-methods.ts'
import type { Reports } from './reports.ts'
import type { Api, Routes } from './routes/api.ts'
import { clusterRoutes } from './routes/cluster.ts'
import { internalRoutes } from './routes/internal.ts'
import { jobRoutes } from './routes/jobs.ts'
import { keptRoutes } from './routes/kept.ts'
import { keyRoutes } from './routes/keys.ts'
import { health } from './schemas.ts'

export interface HttpApiOptions extends Routes {
  readonly keys: Keys
  readonly secret: Buffer
  readonly clock: Clock
  readonly log: Logger
  readonly reports: Reports
  readonly stopped: AbortSignal
}

/** One part of a path; ids have 22. */
const ID_CHARACTERS_MAX = 128

/** The HTTP API, ready to listen. */
export async function buildHttpApi(options: HttpApiOptions): Promise<Api> {
  const app = fastify({
    bodyLimit: HTTP_BODY_BYTES_MAX,
    requestTimeout: HTTP_REQUEST_MS_MAX,
    // Node takes the larger of the two bounds for the whole request, and that of the headers is a minute by default.
    http: { connectionsCheckingInterval: HTTP_CHECK_MS, headersTimeout: HTTP_REQUEST_MS_MAX },
    clientErrorHandler: answerClientFault,
    frameworkErrors: (thrown, request, reply) => void answerFailure(options.log)(thrown, request, reply),
    routerOptions: { maxParamLength: ID_CHARACTERS_MAX },
    ajv: {
      // What is not known is refused, not dropped, and nothing is turned into another type; `verbose` lets an
      // error say what would have been allowed.
      customOptions: { removeAdditional: false, coerceTypes: false, verbose: true, strict: false },
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.server.maxConnections = CONNECTIONS_MAX
  // A connection that could not be accepted, as where the process has too many files open.
  app.server.on('error', (error) =>
    options.log.warn({ reason: error.message }, 'a connection was not accepted'),
  )
  app.decorateRequest('caller')
  app.setErrorHandler(answerFailure(options.log))
  const { keys } = options
  const requireAnyKey = async (request: FastifyRequest): Promise<void> => requireKey(request, keys)
  const requireCaller = async (request: FastifyRequest): Promise<void> => {
    requireKey(request, keys)
    requireRole(request)
  }
  app.setNotFoundHandler({ preHandler: requireAnyKey }, (request) => {
    throw new MayflyError('ROUTE_NOT_FOUND', `There is no ${request.method} ${request.url.split('?')[0]}`)
  })
  // A connection that a client keeps for later would hold up the stop once its last answer is out.
  app.addHook('onSend', async (_request, reply) => {
    if (options.stopped.aborted) reply.header('connection', 'close')
  })
  allowEmptyJson(app)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Mayfly controller', description: 'Jobs, nodes and the cluster', version: '1' },
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      security: [{ apiKey: [] }],
    },
  })
  const refuseOtherMethods = noteMethods(app)
  app.get(
    '/healthz',
    { schema: { security: [], summary: 'Whether the controller serves', response: { 200: health } } },
    () => ({
      status: 'ok' as const,
    }),
  )
  await app.register(async (scope: Api) => {
    scope.addHook('onRequest', requireCaller)
    jobRoutes(scope, options)
    clusterRoutes(scope, options)
    keptRoutes(scope, options)
    keyRoutes(scope, options)
    scope.get('/openapi.json', { config: forAll, schema: { hide: true } }, () => app.swagger())
  })
  await app.register(async (scope: Api) => {
    scope.addHook('onRequest', async (request) => requireClusterToken(request, options))
    internalRoutes(scope, options)
  })
  refuseOtherMethods()
  await app.ready()
  return app
}

/**
 * Many clients name a content type also where they send no body, as for a DELETE. A key like `__proto__` is left
 * to the schemas, which refuse every field that they do not know, by its name.
 */
function allowEmptyJson(app: Api): void {
  const parse = app.getDefaultJsonParser('ignore', 'ignore')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else void parse(request, body as string, done)
  })
}
