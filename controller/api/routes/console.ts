import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { MayflyError } from '../../../protocol/errors.ts'
import type { Caller } from '../../access/keys.ts'
import { SESSION_SECONDS } from '../../limits.ts'
import { type PageFile, pageHeaders } from '../console/page-files.ts'
import type { Sessions } from '../console/sessions.ts'
import type { Api, Routes } from './api.ts'

const COOKIE = 'mayfly_session'
const SECRET_CHARACTERS_MAX = 512
/** File names contain a hash of the content. */
const FOREVER = 'public, max-age=31536000, immutable'

const secret = Type.String({ minLength: 1, maxLength: SECRET_CHARACTERS_MAX })
const credentials = Type.Union([
  Type.Object({ apiKey: secret }, { additionalProperties: false }),
  Type.Object({ code: secret }, { additionalProperties: false }),
])

/**
 * Routes of the console page. Its cookie is accepted only by these routes, not by the API: a session may read what a viewer may, without
 * tickets, and change nothing.
 */
export function consoleRoutes(
  app: Api,
  { sessions, feed, pageFiles }: Pick<Routes, 'sessions' | 'feed' | 'pageFiles'>,
): void {
  app.addHook('onRequest', async (_request, reply) => void reply.headers(pageHeaders))
  const hidden = { hide: true }

  app.get('/', { schema: hidden }, (request, reply) =>
    sendFile(request, reply, { file: pageFiles?.index, caching: 'no-cache' }),
  )

  app.get<{ Params: { file: string } }>('/assets/:file', { schema: hidden }, (request, reply) =>
    sendFile(request, reply, { file: pageFiles?.assets.get(request.params.file), caching: FOREVER }),
  )

  app.get('/console/session', { schema: hidden }, (request) => ({
    caller: sessions.find(sessionOf(request)),
  }))

  app.post('/console/login', { schema: { ...hidden, body: credentials } }, ({ body, protocol }, reply) => {
    const { session, caller } = 'apiKey' in body ? sessions.login(body.apiKey) : sessions.redeem(body.code)
    return reply.header('set-cookie', cookie(session, { seconds: SESSION_SECONDS, protocol })).send(caller)
  })

  app.post('/console/logout', { schema: hidden }, (request, reply) => {
    sessions.logout(sessionOf(request))
    return reply.header('set-cookie', cookie('', { seconds: 0, protocol: request.protocol })).send({})
  })

  app.get('/console/stream', { schema: hidden }, (request, reply) => {
    const { caller, session } = requireSession(request, sessions)
    feed.requireRoom(caller.name)
    reply.hijack()
    feed.serve(reply.raw, { owner: caller.name, find: () => sessions.find(session) })
  })
}

function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  { file, caching }: { file: PageFile | undefined; caching: string },
): FastifyReply {
  if (file === undefined)
    throw new MayflyError('ROUTE_NOT_FOUND', `There is no file ${request.url.split('?')[0]}`)
  reply.headers({ 'cache-control': caching, etag: file.etag, vary: 'accept-encoding' })
  if (request.headers['if-none-match'] === file.etag) return reply.status(304).send()
  const isZipped = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  if (isZipped) reply.header('content-encoding', 'gzip')
  return reply.type(file.type).send(isZipped ? file.gzipped : file.bytes)
}

function requireSession(request: FastifyRequest, sessions: Sessions): { caller: Caller; session: string } {
  const session = sessionOf(request)
  const caller = sessions.find(session)
  if (caller === null) throw new MayflyError('UNAUTHENTICATED', 'Nobody is logged in, or the session is over')
  return { caller, session }
}

function sessionOf({ headers }: FastifyRequest): string {
  const [, session = ''] = /(?:^|;\s*)mayfly_session=([\w-]+)/.exec(headers.cookie ?? '') ?? []
  return session
}

function cookie(session: string, of: { seconds: number; protocol: string }): string {
  const secure = of.protocol === 'https' ? '; Secure' : ''
  return `${COOKIE}=${session}; HttpOnly; SameSite=Strict; Path=/console; Max-Age=${of.seconds}${secure}`
}
