import { randomUUID } from 'node:crypto'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { type FastifyRequest, fastify } from 'fastify'
import { MayflyError } from '../../protocol/errors.ts'
import { CONNECTIONS_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { isTraceparent, REQUEST_ID_PATTERN } from '../../protocol/wire/call-context.ts'
import type { Certificates } from '../../service/network/certificates.ts'
import type { Logger } from '../../service/process/log.ts'
import { callContexts } from '../../service/tracing/call-contexts.ts'
import type { ServerSpan, Tracing } from '../../service/tracing/tracing.ts'
import type { Keys } from '../access/keys.ts'
import { HTTP_BODY_BYTES_MAX, HTTP_REQUEST_MS_MAX } from '../limits.ts'
import { requireKey, requireRole, requireSignatures } from './authentication.ts'
import { answerClientFault } from './client-faults.ts'
import { answerFailure } from './error-handler.ts'
import { followCertificates, serverOptions } from './https.ts'
import { addHttpMetrics } from './metrics/http-metrics.ts'
import { nameSchemas, openapiHead } from './openapi.ts'
import { noteMethods } from './other-methods.ts'
import type { Reports } from './reports.ts'
import type { Api, Routes } from './routes/api.ts'
import { clusterRoutes } from './routes/cluster.ts'
import { consoleRoutes } from './routes/console.ts'
import { internalRoutes } from './routes/internal.ts'
import { jobRoutes } from './routes/jobs.ts'
import { keptRoutes } from './routes/kept.ts'
import { keyRoutes } from './routes/keys.ts'
import { openRoutes } from './routes/open.ts'
import { s3KeyRoutes } from './routes/s3-keys.ts'

export interface HttpApiOptions extends Routes {
  readonly keys: Keys
  readonly secret: Buffer
  readonly clock: Clock
  readonly log: Logger
  readonly reports: Reports
  readonly stopped: AbortSignal
  /** Null if no spans are recorded. */
  readonly tracing: Tracing | null
  /** Null without TLS. */
  readonly certificates: Certificates | null
}

/** Maximum length of one part of a path; ids have 22 characters. */
const ID_CHARACTERS_MAX = 128

/** Builds the HTTP API; the caller starts it. */
export async function buildHttpApi(options: HttpApiOptions): Promise<Api> {
  const app = fastify({
    bodyLimit: HTTP_BODY_BYTES_MAX,
    requestTimeout: HTTP_REQUEST_MS_MAX,
    ...serverOptions(options.certificates),
    clientErrorHandler: answerClientFault,
    frameworkErrors: (thrown, request, reply) => void answerFailure(options)(thrown, request, reply),
    genReqId: ({ headers }) => {
      const id = headers['x-request-id']
      return typeof id === 'string' && REQUEST_ID_PATTERN.test(id) ? id : randomUUID()
    },
    routerOptions: { maxParamLength: ID_CHARACTERS_MAX },
    ajv: {
      // Unknown fields are refused instead of dropped, and no type is converted. `verbose` gives errors the allowed values.
      // The schemas are constants of this program: to check and to optimize them would take a third of the time that compiling takes.
      customOptions: {
        removeAdditional: false,
        coerceTypes: false,
        verbose: true,
        strict: false,
        validateSchema: false,
        code: { optimize: false },
      },
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.server.maxConnections = CONNECTIONS_MAX
  if (options.certificates !== null) followCertificates(app, options.certificates)
  // A connection could not be accepted, for example because the process has too many open files.
  app.server.on('error', (error) =>
    options.log.warn({ reason: error.message }, 'a connection was not accepted'),
  )
  app.decorateRequest('caller')
  app.setErrorHandler(answerFailure(options))
  const { keys } = options
  const requireAnyKey = async (request: FastifyRequest): Promise<void> => requireKey(request, keys)
  const requireCaller = async (request: FastifyRequest): Promise<void> => {
    requireKey(request, keys)
    requireRole(request)
  }
  app.setNotFoundHandler({ preHandler: requireAnyKey }, (request) => {
    throw new MayflyError('ROUTE_NOT_FOUND', `There is no ${request.method} ${request.url.split('?')[0]}`)
  })
  // While the server stops, idle keep-alive connections would delay it, so each answer closes its connection.
  app.addHook('onSend', async (_request, reply) => {
    if (options.stopped.aborted) reply.header('connection', 'close')
  })
  nameRequests(app, options.tracing)
  addHttpMetrics(app, options.metrics)
  allowEmptyJson(app)
  await app.register(swagger, {
    openapi: openapiHead,
    transformObject: (document) =>
      'openapiObject' in document ? nameSchemas(document.openapiObject) : document.swaggerObject,
  })
  const refuseOtherMethods = noteMethods(app)
  openRoutes(app)
  await app.register(async (scope: Api) => consoleRoutes(scope, options))
  await app.register(async (scope: Api) => {
    scope.addHook('onRequest', requireCaller)
    jobRoutes(scope, options)
    s3KeyRoutes(scope, options)
    clusterRoutes(scope, options)
    keptRoutes(scope, options)
    keyRoutes(scope, options)
  })
  await app.register(async (scope: Api) => {
    requireSignatures(scope, options.secret)
    internalRoutes(scope, options)
  })
  refuseOtherMethods()
  await app.ready()
  return app
}

/** The id of each request, its own or a new one, is in the answer and in every line that is logged for it. */
function nameRequests(app: Api, tracing: Tracing | null): void {
  const spans = new WeakMap<FastifyRequest, ServerSpan>()
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    const { traceparent } = request.headers
    const isTraced = typeof traceparent === 'string' && isTraceparent(traceparent)
    const context = { request: request.id, traceparent: isTraced ? traceparent : '' }
    const span = tracing?.begin(`${request.method} ${request.routeOptions.url ?? ''}`, context) ?? null
    if (span !== null) spans.set(request, span)
    callContexts.run(span?.context ?? context, done)
  })
  app.addHook('onError', async (request, _reply, error) => {
    spans.get(request)?.end(error)
    spans.delete(request)
  })
  app.addHook('onResponse', async (request) => spans.get(request)?.end())
}

/**
 * Many clients send a content type without a body, for example with DELETE. A key like `__proto__` is left to the schemas, which refuse unknown fields by name.
 */
function allowEmptyJson(app: Api): void {
  const parse = app.getDefaultJsonParser('ignore', 'ignore')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else void parse(request, body as string, done)
  })
}
