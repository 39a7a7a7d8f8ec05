import { MayflyError } from '../../protocol/errors.ts'
import type { Api } from './routes/api.ts'

/**
 * Answers 405 with an Allow header if a path exists but not for the method (RFC 9110, section 15.5.6). Call it before the routes are declared, and call the
 * function that it returns after them.
 */
export function noteMethods(app: Api): () => void {
  const methodsOf = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    methodsOf.set(url, new Set([...(methodsOf.get(url) ?? []), ...[method].flat()]))
  })
  return () => {
    for (const [url, taken] of [...methodsOf]) {
      const allowed = [...taken].join(', ')
      app.route({
        url,
        method: app.supportedMethods.filter((method) => !taken.has(method)),
        schema: { hide: true },
        // A later hook would be too late: a body of another content type is refused before the handler runs.
        onRequest: async (request, reply) => {
          const { code, message } = new MayflyError(
            'ROUTE_NOT_FOUND',
            `${request.url.split('?')[0]} takes ${allowed}, not ${request.method}`,
          )
          return reply.status(405).header('allow', allowed).send({ error: { code, message } })
        },
        handler: (_request, reply) => reply,
      })
    }
  }
}
